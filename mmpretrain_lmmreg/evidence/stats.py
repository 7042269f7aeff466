"""Figures of a method: accuracy over seeds, recall, likelihood, calibration."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, log_loss

BINS = 15


def mean_and_sd(scores: ArrayLike) -> tuple[float, float]:
    """Mean over seeds of the accuracy of (S, N) scores, and its sample standard deviation."""
    accuracies = np.asarray(scores, float).mean(axis=1)
    return float(accuracies.mean()), spread(accuracies)


def spread(values: Sequence[float] | NDArray) -> float:
    """Sample standard deviation; nan for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float('nan')


def macro_recall(label: ArrayLike, probs: ArrayLike) -> float:
    """Recall averaged over the classes that occur."""
    return float(balanced_accuracy_score(label, np.argmax(probs, axis=1)))


def nll(label: ArrayLike, probs: ArrayLike) -> float:
    """Mean negative log-likelihood of the labels, in nats; probabilities are (N, N_c)."""
    unscaled = np.asarray(probs, float)
    rows = unscaled / unscaled.sum(axis=1, keepdims=True)  # float32 sums are not exactly 1
    return float(log_loss(label, rows, labels=np.arange(rows.shape[1])))


def reliability(label: ArrayLike, probs: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    """Accuracy, mean confidence and number of images of each of 15 equal bins that is not empty."""
    probs = np.asarray(probs, float)
    confidence = probs.max(axis=1).clip(0, 1)
    correct = probs.argmax(axis=1) == label
    accuracy, mean = calibration_curve(correct.astype(int), confidence, n_bins=BINS, pos_label=1)
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
    counts = np.bincount(bins)
    return accuracy, mean, counts[counts > 0]


def expected_calibration_error(label: ArrayLike, probs: ArrayLike) -> float:
    """ECE over 15 equal bins of confidence (Guo et al., ICML 2017, eq. 3)."""
    accuracy, confidence, counts = reliability(label, probs)
    return float(np.average(np.abs(accuracy - confidence), weights=counts))
