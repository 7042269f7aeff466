"""Folds of the training images."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..datasets.splits import seeded_rank

MOST = 5  # folds


@dataclass(frozen=True)
class Folds:
    """Fold of each image, and what could not be divided.

    ``fold`` (N,) is -1 for images that train in every fold and are never scored.
    """

    fold: Tensor
    count: int
    unscored: list[int]  # classes without a held-out image

    def parts(self) -> list[tuple[Tensor, Tensor]]:
        """Indices of the training and the held-out images of each fold."""
        return [
            ((self.fold != k).nonzero()[:, 0], (self.fold == k).nonzero()[:, 0])
            for k in range(self.count)
        ]

    @property
    def scored(self) -> Tensor:
        """Whether an image is held out in some fold, (N,)."""
        return self.fold >= 0


def make_folds(
    labels: Sequence[int], units: Sequence[str], num_classes: int, seed: object = 0
) -> Folds:
    """Deal the images of each class out to folds; images of one unit share a fold.

    There are K = min(5, units of the smallest class that has two or more) folds. A class of one
    unit trains in every fold.

    Args:
        labels: Class of each image.
        units: Name of each image's group, or of the image where it has none.
        num_classes: N_c.
        seed: Decides the order in which units are dealt out.

    Example:
        >>> make_folds([0, 0, 1, 1, 2], list('abcde'), 3).count
        2
    """
    own: dict[int, set[str]] = defaultdict(set)
    classes: dict[str, Counter] = defaultdict(Counter)
    for label, unit in zip(labels, units, strict=True):
        own[label].add(unit)
        classes[unit][label] += 1
    several = [len(found) for found in own.values() if len(found) > 1]
    count = min([MOST, *several]) if several else 0
    kept = {unit for label, found in own.items() if len(found) == 1 for unit in found}
    held: list[Counter] = [Counter() for _ in range(count)]
    fold_of = dict.fromkeys(kept, -1)
    for unit in sorted(classes.keys() - kept, key=lambda name: seeded_rank(seed, name)):
        load = [(sum(each[label] for label in classes[unit]), sum(each.values())) for each in held]
        fold_of[unit] = load.index(min(load))
        held[fold_of[unit]].update(classes[unit])
    _leave_each_class_in_training(fold_of, own)
    fold = torch.tensor([fold_of[unit] for unit in units])
    scored = {label for label, unit in zip(labels, units, strict=True) if fold_of[unit] >= 0}
    return Folds(fold, count, sorted(set(range(num_classes)) & set(own) - scored))


def _leave_each_class_in_training(fold_of: dict[str, int], own: dict[int, set[str]]) -> None:
    """Let a class train whose units all fell into one fold, as groups of several classes may."""
    for units in own.values():
        found = {fold_of[unit] for unit in units}
        if len(found) == 1 and found != {-1}:
            fold_of[min(units)] = -1
