"""Figures of a method: accuracy over seeds, recall, likelihood, calibration."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.calibration import calibration_curve

BINS = 15
ROWS = 256  # of probabilities that are in float64 at a time


def mean_and_sd(scores: ArrayLike) -> tuple[float, float]:
    """Mean over seeds of the accuracy of (S, N) scores, and its sample standard deviation."""
    accuracies = np.asarray(scores, float).mean(axis=1)
    return float(accuracies.mean()), spread(accuracies)


def spread(values: Sequence[float] | NDArray) -> float:
    """Sample standard deviation; nan for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float('nan')


def macro_recall(label: ArrayLike, probs: ArrayLike) -> float:
    """Recall averaged over the classes that occur."""
    label = np.asarray(label)
    images = np.bincount(label)
    right = np.bincount(label[np.argmax(probs, axis=1) == label], minlength=len(images))
    return float((right[images > 0] / images[images > 0]).mean())


def nll(label: ArrayLike, probs: ArrayLike) -> float:
    """Mean negative log-likelihood of the labels, in nats; probabilities are (N, N_c)."""
    probs, label = np.asarray(probs), np.asarray(label)
    parts = (np.asarray(probs[i : i + ROWS], float) for i in range(0, len(probs), ROWS))
    sums = np.concatenate([part.sum(axis=1) for part in parts])  # of float32, not exactly 1
    of_label = probs[np.arange(len(label)), label] / sums
    smallest = np.finfo(float).eps
    return float(-np.log(of_label.clip(smallest, 1 - smallest)).mean())


def top_confidence(label: ArrayLike, probs: ArrayLike) -> tuple[NDArray, NDArray]:
    """Confidence of each image's likeliest class, (N,), and whether it is the label, (N,) bool."""
    probs = np.asarray(probs)
    return probs.max(axis=1).astype(float).clip(0, 1), probs.argmax(axis=1) == label


def reliability(confidence: NDArray, correct: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Accuracy, mean confidence and number of images of each of 15 equal bins that is not empty."""
    accuracy, mean = calibration_curve(correct.astype(int), confidence, n_bins=BINS, pos_label=1)
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
    counts = np.bincount(bins)
    return accuracy, mean, counts[counts > 0]


def expected_calibration_error(label: ArrayLike, probs: ArrayLike) -> float:
    """ECE over 15 equal bins of confidence (Guo et al., ICML 2017, eq. 3)."""
    accuracy, confidence, counts = reliability(*top_confidence(label, probs))
    return float(np.average(np.abs(accuracy - confidence), weights=counts))


def wilson(share: NDArray, count: NDArray, level: float = 0.95) -> tuple[NDArray, NDArray]:
    """Wilson's interval of shares of ``count`` images each."""
    z2 = norm.ppf((1 + level) / 2) ** 2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = np.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    return middle - half, middle + half


class Confusions(NamedTuple):
    """K cells of the confusion matrix that are not empty, by class and predicted class."""

    classes: NDArray  # (K,) int
    predicted: NDArray  # (K,) int
    counts: NDArray  # (K,) int, images over all seeds
    shares: NDArray  # (K,), of the class


def confusions(label: NDArray, predicted: NDArray, num_classes: int) -> Confusions:
    """Which classes are taken for which, of labels (N,) and predictions (S, N)."""
    numbers, counts = np.unique(label * num_classes + predicted, return_counts=True)
    classes, others = np.divmod(numbers, num_classes)
    images = np.bincount(label, minlength=num_classes) * len(predicted)
    return Confusions(classes, others, counts, counts / images[classes])


def confusion_matrix(cells: Confusions, num_classes: int) -> NDArray:
    """The shares as a matrix, (N_c, N_c)."""
    matrix = np.zeros((num_classes, num_classes))
    matrix[cells.classes, cells.predicted] = cells.shares
    return matrix


def most_frequent(cells: Confusions, names: Sequence[str], count: int) -> list[dict]:
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
