"""Statistics against numbers that are known otherwise."""

import math

import numpy as np
import pytest

from mmpretrain_lmmreg.evidence import stats


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_mean_and_sd():
    mean, sd = stats.mean_and_sd([[1, 1, 0, 0], [1, 1, 1, 0]])
    assert mean == 0.625 and sd == pytest.approx(0.25 / math.sqrt(2))
    assert math.isnan(stats.mean_and_sd([[1, 0]])[1])


def test_macro_recall_weighs_classes_equally():
    probs = np.eye(3)[[0, 0, 0, 0, 0, 0]]
    assert stats.macro_recall([0, 0, 0, 0, 1, 1], probs) == 0.5


def test_nll():
    assert stats.nll([0, 1], [[0.5, 0.5], [0.75, 0.25]]) == pytest.approx(
        (math.log(2) + math.log(4)) / 2
    )
    assert stats.nll([0], [[0.0, 1.0]]) == pytest.approx(36.04, abs=0.01)  # float64's eps


def test_calibration():
    probs = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 4)
    label = np.array([0, 0, 0, 1, 0, 0, 0, 0])
    accuracy, confidence, counts = stats.reliability(label, probs)
    np.testing.assert_allclose(accuracy, [1, 0.75])
    np.testing.assert_allclose(confidence, [0.6, 0.9])
    assert counts.tolist() == [4, 4]
    assert stats.expected_calibration_error(label, probs) == pytest.approx((0.4 + 0.15) / 2)
    assert stats.expected_calibration_error([0], [[1.0, 0.0]]) == 0
    assert stats.expected_calibration_error([1], [[1.0, 0.0]]) == 1
