"""Which classes are taken for which: the cells of the confusion matrix that are not empty."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Cells(NamedTuple):
    """K cells, by class and predicted class."""

    classes: NDArray  # (K,) int
    predicted: NDArray  # (K,) int
    counts: NDArray  # (K,) int, images over all seeds
    shares: NDArray  # (K,), of the class


def cells_of(label: NDArray, predicted: NDArray, num_classes: int) -> Cells:
    """The cells of labels (N,) and predictions (S, N)."""
    numbers, counts = np.unique(label * num_classes + predicted, return_counts=True)
    classes, others = np.divmod(numbers, num_classes)
    images = np.bincount(label, minlength=num_classes) * len(predicted)
    return Cells(classes, others, counts, counts / images[classes])


def matrix_of(cells: Cells, num_classes: int) -> NDArray:
    """The shares as a matrix, (N_c, N_c)."""
    matrix = np.zeros((num_classes, num_classes))
    matrix[cells.classes, cells.predicted] = cells.shares
    return matrix


def most_frequent(cells: Cells, names: Sequence[str], count: int) -> list[dict]:
    """The ``count`` most frequent confusions by share of the class; equal ones by class."""
    wrong = np.flatnonzero(cells.classes != cells.predicted)
    chosen = wrong[np.argsort(-cells.shares[wrong], kind='stable')[:count]]
    return [
        dict(
            label=names[cells.classes[k]],
            predicted=names[cells.predicted[k]],
            share=cells.shares[k],
            count=int(cells.counts[k]),
        )
        for k in chosen
    ]
