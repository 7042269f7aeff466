"""Which images are described first, and when enough are: plain functions on arrays."""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..datasets.splits import seeded_rank

START = 4  # images of each class before the first look


def order_by_class(
    names: Sequence[str], labels: Sequence[int], groups: Sequence[Hashable], seed: object
) -> dict[int, list[int]]:
    """The order in which the images of each class are described, as indices by label.

    Groups (source videos) take turns: the second image of one comes after the first of all
    others. Only seed and names decide, so the first N of an order are part of its first 2N, on
    every machine.
    """
    turns: dict[tuple[int, Hashable], int] = defaultdict(int)
    keys: dict[int, tuple[int, bytes]] = {}
    for i in sorted(range(len(names)), key=lambda i: seeded_rank(seed, names[i])):
        member = labels[i], groups[i]
        keys[i] = turns[member], seeded_rank(seed, f'group {groups[i]}')
        turns[member] += 1
    orders: dict[int, list[int]] = defaultdict(list)
    for i in sorted(keys, key=lambda i: (labels[i], *keys[i])):
        orders[labels[i]].append(i)
    return dict(orders)


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
    if squared <= 0:
        return np.full(len(errors), math.inf)
    return errors / math.sqrt(squared)


def next_count(count: int, error: float, target: float, limit: int) -> int:
    """Images of a class to have been asked about after the next round, at most ``limit``.

    An error falls with the root of the number of images; a round adds at least an eighth, and at
    most doubles it. The count stays where the error is at the target.
    """
    if error <= target or count >= limit:
        return count
    needed = 2 * count if math.isinf(error) else math.ceil(count * (error / target) ** 2)
    return min(max(needed, count + max(count // 8, 1)), 2 * count, limit)
