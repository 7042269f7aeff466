"""Which images are described first, and when enough are."""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..clip.text_tower import TextTower
from ..datasets.splits import seeded_rank
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from .tasks import Task
from .zero_shot_eval import embed_by_image

START = 4  # images of each class before the first look


def orders_of(tasks: Sequence[Task], seed: object) -> dict[int, list[int]]:
    """The order in which the images of each class are described, as indices by label.

    Groups (source videos) take turns: the second image of one comes after the first of all
    others. Only seed and names decide, so the first N of an order are part of its first 2N, on
    every machine.

    Raises:
        InputError: An image has no label.
    """
    listed = list(tasks)
    turns: Counter[tuple[int, str]] = Counter()
    keys: list[tuple[int, int, bytes, int]] = []
    for i in sorted(range(len(listed)), key=lambda i: seeded_rank(seed, listed[i].image)):
        task = listed[i]
        if task.label is None:
            raise InputError(
                f'{task.image} has no label, so images of each class cannot be chosen',
                code='describe.no_label',
            )
        group = task.group or task.image
        turn = turns[task.label, group]
        keys.append((task.label, turn, seeded_rank(seed, f'group {group}'), i))
        turns[task.label, group] += 1
    orders: dict[int, list[int]] = defaultdict(list)
    for label, *_, i in sorted(keys, key=lambda key: key[:3]):
        orders[label].append(i)
    return dict(orders)


def choose(tasks: Sequence[Task], count: int, seed: object) -> list[Task]:
    """The first ``count`` images of each class, in the order of ``tasks``; see ``orders_of``."""
    orders = orders_of(tasks, seed).values()
    return [tasks[i] for i in sorted(i for order in orders for i in order[:count])]


def mean_and_error(
    means: NDArray, texts: NDArray, groups: Sequence[Hashable]
) -> tuple[NDArray, float]:
    """Eq. 1 of one class, and its standard error over the groups of images.

    Args:
        means: Mean text embedding of each described image, (I, D).
        texts: Number of texts of each, (I,).
        groups: Of each image; images of one group are not independent.

    Returns:
        C = sum_i n_i m_i / sum_i n_i, (D,), and the root of the summed variances of its D
        components, by the linearised estimator of a ratio over clusters; infinite for one group.
    """
    total = texts.sum()
    mean = texts @ means / total
    _, index = np.unique([str(group) for group in groups], return_inverse=True)
    count = index.max() + 1
    if count < 2:
        return mean, math.inf
    sums = np.zeros((count, means.shape[1]))
    np.add.at(sums, index, texts[:, None] * (means - mean))
    return mean, float(np.sqrt(count / (count - 1) * (sums**2).sum()) / total)


def relative_errors(means: NDArray, errors: NDArray) -> NDArray:
    """Standard errors (N_c,) by the distance between the class means (N_c, D).

    The distance is the root mean square over all pairs of classes whose error is known, less what
    the errors themselves add to it; where nothing is left, or without a pair, all are infinite.
    """
    known = np.isfinite(errors)
    squared = 0.0
    if known.sum() > 1:
        centred = means[known] - means[known].mean(0)
        pairs = 2 * (centred**2).sum() / (known.sum() - 1)
        squared = pairs - 2 * (errors[known] ** 2).mean()
    return errors / math.sqrt(squared) if squared > 0 else np.full(len(errors), math.inf)


def next_count(count: int, error: float, target: float, limit: int) -> int:
    """Images of a class to have been asked about after the next round, at most ``limit``.

    An error falls with the root of the number of images; a round adds at least an eighth, and at
    most doubles it. The count stays where the error is at the target.
    """
    if error <= target or count >= limit:
        return count
    needed = 2 * count if math.isinf(error) else math.ceil(count * (error / target) ** 2)
    return min(max(needed, count + max(count // 8, 1)), 2 * count, limit)


@dataclass
class Class:
    """How far a class is."""

    name: str
    order: list[int]  # of its images
    limit: int  # images that may be asked about
    asked: int = 0
    described: int = 0
    error: float = float('inf')  # of its mean, by the distance between class means


class Convergence:
    """Asks in rounds until the standard error of each class's mean is small.

    Args:
        images: Of all classes.
        classes: Their names.
        target: Standard error by the distance between class means that is small enough.
        limit: Images of a class that are asked about at most.
        seed: Which images come first.
        tower: Embeds the descriptions.
    """

    def __init__(
        self,
        images: Sequence[Task],
        classes: Sequence[str],
        target: float,
        limit: int | None,
        seed: object,
        tower: TextTower,
    ) -> None:
        self.images, self.target, self.tower, self.number = images, target, tower, 0
        self.classes = [
            Class(classes[label] if classes else str(label), order, min(limit or 10**9, len(order)))
            for label, order in sorted(orders_of(images, seed).items())
        ]

    def next(self) -> list[Task]:
        """The images of the next round; none where all classes are at the target or their limit."""
        new: list[Task] = []
        for each in self.classes:
            first = min(START, each.limit)
            count = next_count(each.asked, each.error, self.target, each.limit) or first
            new += [self.images[i] for i in each.order[each.asked : count]]
            each.asked = count
        self.number += bool(new)
        return new

    def measured(self, out: Path, prompt: str, asked: int) -> str:
        """How far each class is after a round of ``asked`` images, the farthest first."""
        self._measure(DescriptionStore(out), prompt)
        above = sorted((e for e in self.classes if e.error > self.target), key=lambda e: -e.error)
        shown = ', '.join(f'{e.name} {e.error:.3f} ({e.described} images)' for e in above)
        return (
            f'round {self.number}: {asked} images, {len(self.classes) - len(above)} of '
            f'{len(self.classes)} classes are at {self.target:g} or below'
        ) + (f'; above: {shown}' if shown else '')

    def _measure(self, store: DescriptionStore, prompt: str) -> None:
        found = []
        for each in self.classes:
            tasks = [self.images[i] for i in each.order[: each.asked]]
            texts = {t: own for t in tasks if (own := store.get(t.image, prompt))}
            each.described = len(texts)
            if texts:
                means, sizes = embed_by_image(list(texts.values()), self.tower)
                groups = [t.group or t.image for t in texts]
                found.append((each, *mean_and_error(means, sizes, groups)))
        if found:
            known, means, errors = zip(*found, strict=True)
            relative = relative_errors(np.stack(means), np.array(errors))
            for each, error in zip(known, relative.tolist(), strict=True):
                each.error = error

    def table(self) -> str:
        """What was described of each class, and how well its mean is known."""
        width = max(len('class'), *(len(each.name) for each in self.classes))
        lines = [f'{"class":{width}}  described  of all  error/distance']
        for each in self.classes:
            state = 'not finished'
            if each.error <= self.target:
                state = 'converged'
            elif each.asked == len(each.order):
                state = 'all images asked about'
            elif each.asked == each.limit:
                state = 'stopped by --per-class'
            lines.append(
                f'{each.name:{width}}  {each.described:9}  {len(each.order):6}  '
                f'{each.error:14.3f}  {state}'
            )
        described = sum(each.described for each in self.classes)
        images = sum(len(each.order) for each in self.classes)
        lines.append(f'{described} of {images} images ({100 * described / images:.1f} %)')
        return '\n'.join(lines)
