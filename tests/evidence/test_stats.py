"""Statistics against numbers that are known otherwise."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, log_loss

from mmpretrain_lmmreg.evidence import stats


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_mean_and_sd():
    mean, sd = stats.mean_and_sd([[1, 1, 0, 0], [1, 1, 1, 0]])
    assert mean == 0.625 and sd == pytest.approx(0.25 / math.sqrt(2))
    assert math.isnan(stats.mean_and_sd([[1, 0]])[1])


def test_nll():
    assert stats.nll([0, 1], [[0.5, 0.5], [0.75, 0.25]]) == pytest.approx(
        (math.log(2) + math.log(4)) / 2
    )
    assert stats.nll([0], [[0.0, 1.0]]) == pytest.approx(36.04, abs=0.01)  # float64's eps


def test_calibration():
    probs = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 4)
    label = np.array([0, 0, 0, 1, 0, 0, 0, 0])
    accuracy, confidence, counts = stats.reliability(*stats.top_confidence(label, probs))
    np.testing.assert_allclose(accuracy, [1, 0.75])
    np.testing.assert_allclose(confidence, [0.6, 0.9])
    assert counts.tolist() == [4, 4]
    assert stats.expected_calibration_error(label, probs) == pytest.approx((0.4 + 0.15) / 2)
    assert stats.expected_calibration_error([0], [[1.0, 0.0]]) == 0
    assert stats.expected_calibration_error([1], [[1.0, 0.0]]) == 1


def test_wilson():
    low, high = stats.wilson(np.array([0.3, 1.0]), np.array([20, 5]))
    for share, count, pair in ((6, 20, (low[0], high[0])), (5, 5, (low[1], high[1]))):
        exact = binomtest(share, count).proportion_ci(method='wilson')
        assert pair == pytest.approx((exact.low, exact.high))


@pytest.mark.filterwarnings('ignore:y_pred contains classes')
@pytest.mark.parametrize('classes', [2, 101, 3000])
def test_figures_are_scikit_learn_s_to_the_last_bit(rng, classes):
    probs = rng.random((600, classes), np.float32) ** 9
    probs /= probs.sum(axis=1, keepdims=True)
    label = rng.integers(0, classes, 600)
    rows = probs.astype(float) / probs.astype(float).sum(axis=1, keepdims=True)
    assert stats.nll(label, probs) == log_loss(label, rows, labels=np.arange(classes))
    assert stats.macro_recall(label, probs) == balanced_accuracy_score(label, probs.argmax(1))


def test_figures_take_no_memory_for_classes_times_images(rng):
    probs = np.full((5000, 1000), 0.001, np.float32)
    label = rng.integers(0, 1000, 5000)
    tracemalloc.start()
    for figure in (stats.nll, stats.macro_recall, stats.expected_calibration_error):
        figure(label, probs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < probs.nbytes / 2  # a copy in float64 would be twice as much
