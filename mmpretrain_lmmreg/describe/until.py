"""Describe in rounds, class by class, until the class means have converged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..clip.text_tower import TextTower
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from .budget import START, mean_and_error, next_count, order_by_class, relative_errors
from .loading import Task
from .towers import embed_by_image


def orders_of(tasks: Sequence[Task], seed: object) -> dict[int, list[int]]:
    """Indices of the images of each class, in the order in which they are described.

    Raises:
        InputError: An image has no label.
    """
    labels: list[int] = []
    for task in tasks:
        if task.label is None:
            raise InputError(f'{task.image} has no label, so images of each class cannot be chosen')
        labels.append(task.label)
    names = [task.image for task in tasks]
    return order_by_class(names, labels, [task.group or task.image for task in tasks], seed)


def choose(tasks: Sequence[Task], count: int, seed: object) -> list[Task]:
    """The first ``count`` images of each class, in the order of ``tasks``; see ``orders_of``."""
    orders = orders_of(tasks, seed).values()
    return [tasks[i] for i in sorted(i for order in orders for i in order[:count])]


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
        self.images, self.target, self.tower = images, target, tower
        self.classes = [
            Class(classes[label] if classes else str(label), order, min(limit or 10**9, len(order)))
            for label, order in sorted(orders_of(images, seed).items())
        ]

    def run(self, ask: Callable[[list[Task]], None], out: Path, prompt: str) -> None:
        """Ask, embed, look, and go on where need be; prints a line a round and a table."""
        counts = [min(START, each.limit) for each in self.classes]
        number = 0
        while any(n > each.asked for n, each in zip(counts, self.classes, strict=True)):
            number += 1
            new = [
                self.images[i]
                for each, n in zip(self.classes, counts, strict=True)
                for i in each.order[each.asked : n]
            ]
            ask(new)
            for each, n in zip(self.classes, counts, strict=True):
                each.asked = n
            self.measure(DescriptionStore(out), prompt)
            print(self.round_line(number, len(new)))
            counts = [next_count(c.asked, c.error, self.target, c.limit) for c in self.classes]
        print(self.table())

    def measure(self, store: DescriptionStore, prompt: str) -> None:
        """Errors of the class means, from what is kept of the images asked about."""
        members = [[self.images[i] for i in each.order[: each.asked]] for each in self.classes]
        texts = {t.image: store.get(t.image, prompt) or [] for each in members for t in each}
        described = [[task for task in each if texts[task.image]] for each in members]
        means, sizes = embed_by_image(
            [texts[task.image] for each in described for task in each], self.tower
        )
        found, start = [], 0
        for each, own in zip(self.classes, described, strict=True):
            each.described, rows = len(own), slice(start, start + len(own))
            start += len(own)
            groups = [task.group or task.image for task in own]
            found.append(
                mean_and_error(means[rows], sizes[rows], groups)
                if own
                else (np.zeros(means.shape[1]), float('inf'))
            )
        errors = relative_errors(
            np.stack([mean for mean, _ in found]), np.array([error for _, error in found])
        )
        for each, error in zip(self.classes, errors, strict=True):
            each.error = float(error)

    def round_line(self, number: int, asked: int) -> str:
        """How far each class is, the farthest first."""
        open_ = [each for each in self.classes if each.error > self.target]
        shown = ', '.join(
            f'{each.name} {each.error:.3f} ({each.described} images)'
            for each in sorted(open_, key=lambda each: -each.error)
        )
        head = (
            f'round {number}: {asked} images, {len(self.classes) - len(open_)} of '
            f'{len(self.classes)} classes are at {self.target:g} or below'
        )
        return f'{head}; above: {shown}' if shown else head

    def table(self) -> str:
        """What was described of each class, and how well its mean is known."""
        width = max(len('class'), *(len(each.name) for each in self.classes))
        lines = [f'{"class":{width}}  described  of all  error/distance']
        for each in self.classes:
            if each.error <= self.target:
                state = 'converged'
            elif each.asked == len(each.order):
                state = 'all images asked about'
            else:
                state = 'stopped by --per-class'
            lines.append(
                f'{each.name:{width}}  {each.described:9}  {len(each.order):6}  '
                f'{each.error:14.3f}  {state}'
            )
        described = sum(each.described for each in self.classes)
        images = sum(len(each.order) for each in self.classes)
        lines.append(f'{described} of {images} images ({100 * described / images:.1f} %)')
        return '\n'.join(lines)
