"""Figures of a method: accuracy over seeds, recall, likelihood, calibration."""

from collections import Counter
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
    sd = accuracies.std(ddof=1) if len(accuracies) > 1 else float('nan')
    return float(accuracies.mean()), float(sd)


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


def wilson(share: ArrayLike, count: ArrayLike, level: float = 0.95) -> tuple[NDArray, NDArray]:
    """Wilson's interval of shares of ``count`` images each."""
    share, count = np.asarray(share), np.asarray(count)
    z2 = norm.ppf((1 + level) / 2) ** 2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = np.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    return middle - half, middle + half


class Confusion(NamedTuple):
    """Images of a class, over all seeds, that are predicted as one class."""

    label: int
    predicted: int
    images: int
    share: float  # of the class


def confusions(label: NDArray, predicted: NDArray) -> list[Confusion]:
    """Which classes are taken for which, of labels (N,) and predictions (S, N), by class."""
    seeds = len(predicted)
    pairs = Counter(zip(np.tile(label, seeds).tolist(), predicted.ravel().tolist(), strict=True))
    images = Counter(label.tolist())
    return [Confusion(c, p, n, n / seeds / images[c]) for (c, p), n in sorted(pairs.items())]
