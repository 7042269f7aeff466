"""Statistics against numbers that are known otherwise."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from mmpretrain_lmmreg.evidence import stats


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_mean_and_sd():
    mean, sd = stats.mean_and_sd([[1, 1, 0, 0], [1, 1, 1, 0]])
    assert mean == 0.625 and sd == pytest.approx(0.25 / math.sqrt(2))
    assert math.isnan(stats.mean_and_sd([[1, 0]])[1])


def test_group_sums():
    sums = stats.group_sums([[1, 2, 3], [4, 5, 6]], ['b', 'a', 'b'])
    np.testing.assert_array_equal(sums, [[2, 4], [5, 10]])


def test_interval_of_single_images_is_the_binomial_one(rng):
    scores = (rng.random((1, 2000)) < 0.8).astype(float)
    low, high = stats.interval(np.arange(2000), scores)
    exact = scipy_stats.binomtest(int(scores.sum()), 2000).proportion_ci(method='wilson')
    assert low == pytest.approx(exact.low, abs=0.002)
    assert high == pytest.approx(exact.high, abs=0.002)


def test_doubling_every_image_inside_its_group_does_not_shrink_the_interval(rng):
    scores, groups = (rng.random((3, 60)) < 0.7).astype(float), np.arange(60) // 2
    single = stats.interval(groups, scores)
    doubled = stats.interval(np.repeat(groups, 2), np.repeat(scores, 2, axis=1))
    assert doubled == single
    apart = stats.interval(np.arange(120), np.repeat(scores, 2, axis=1))
    assert apart[1] - apart[0] < 0.9 * (single[1] - single[0])


def test_seeds_that_disagree_widen_the_interval():
    agree = np.tile([1, 1, 1, 0], (4, 25))
    disagree = np.vstack([np.ones((2, 100)), np.zeros((2, 100))])
    groups = np.arange(100)
    low, high = stats.interval(groups, agree)
    assert low > 0.6 and high < 0.85
    assert stats.interval(groups, disagree) == (0.0, 1.0)


def test_interval_of_a_difference(rng):
    scores = (rng.random((3, 300)) < 0.7).astype(float)
    same = stats.interval(np.arange(300), scores[:1], scores[:1])
    assert same == (0.0, 0.0)  # one seed each: the groups are drawn together
    low, high = stats.interval(np.arange(300), np.ones((3, 300)), scores)
    alone = stats.interval(np.arange(300), scores)
    np.testing.assert_allclose((1 - high, 1 - low), alone, atol=0.01)


def test_interval_of_one_group_is_unknown():
    assert all(map(math.isnan, stats.interval(['v'] * 4, [[1, 0, 1, 1]])))


def test_equal_predictions_differ_by_nothing(rng):
    scores = (rng.random((3, 50)) < 0.7).astype(float)
    assert stats.sign_flip_test(scores, scores, np.arange(50)) == (0.0, 1.0)
    assert stats.mcnemar_test(scores[0], scores[0]) == 1.0
    assert stats.interval(np.arange(50), scores[:1], scores[:1]) == (0.0, 0.0)


def test_sign_flips_of_single_images_are_the_exact_sign_test():
    ours, theirs = np.zeros(20), np.zeros(20)
    ours[:9], theirs[9:11] = 1, 1  # 9 won, 2 lost
    difference, p = stats.sign_flip_test(ours, theirs, np.arange(20))
    assert difference == pytest.approx(7 / 20)
    assert p == pytest.approx(scipy_stats.binomtest(2, 11).pvalue)
    assert p == pytest.approx(stats.mcnemar_test(ours, theirs))


def test_sign_flips_keep_a_group_together():
    ours, theirs = np.ones(12), np.zeros(12)
    _, apart = stats.sign_flip_test(ours, theirs, np.arange(12))
    _, together = stats.sign_flip_test(ours, theirs, np.arange(12) // 4)
    assert apart == pytest.approx(2 / 2**12) and together == pytest.approx(2 / 2**3)
    assert stats.sign_flip_test(ours, theirs, ['v'] * 12) == (1.0, 1.0)


def test_monte_carlo_sign_flips_agree_with_the_exact_test():
    ours, theirs = np.zeros(100), np.zeros(100)
    ours[:25], theirs[25:37] = 1, 1
    _, p = stats.sign_flip_test(ours, theirs, np.arange(100))
    assert p == pytest.approx(scipy_stats.binomtest(12, 37).pvalue, abs=0.01)


def test_mcnemar_of_a_known_table():
    # 59 + 6 + 16 + 80 images: 2 * P(X <= 6), X ~ Binomial(22, 1/2)
    ours = np.repeat([True, True, False, False], (59, 6, 16, 80))
    theirs = np.repeat([True, False, True, False], (59, 6, 16, 80))
    assert stats.mcnemar_test(ours, theirs) == pytest.approx(0.0524788, abs=1e-6)


def test_holm():
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([]) == []


def test_smallest_difference():
    d = stats.smallest_difference(654, 0.04)
    assert d == pytest.approx(0.0218, abs=3e-4)
    z = scipy_stats.norm.ppf([0.975, 0.8])
    needed = (z[0] * math.sqrt(0.04) + z[1] * math.sqrt(0.04 - d**2)) ** 2 / d**2
    assert needed == pytest.approx(654)
    assert stats.smallest_difference(1308, 0.04, design_effect=2) == pytest.approx(d)
    few = stats.smallest_difference(60, 0.04)  # 4 % of disagreement could not show it
    assert few == pytest.approx(stats.smallest_difference(60, 0))
    assert few == pytest.approx(stats.smallest_difference(60, few))
    assert few * 60 == pytest.approx((z[0] + z[1] * math.sqrt(1 - few)) ** 2)
    assert math.isnan(stats.smallest_difference(3, 0.04))


def test_smallest_difference_is_shown_four_times_in_five(rng):
    images, psi = 400, 0.1
    d = stats.smallest_difference(images, psi)
    share = [(psi + d) / 2, (psi - d) / 2, 1 - psi]
    won, lost, _ = rng.multinomial(images, share, size=20000).T
    shown = np.abs(won - lost) > scipy_stats.norm.ppf(0.975) * np.sqrt(won + lost)
    assert shown.mean() == pytest.approx(0.8, abs=0.02)


def test_paired_spread():
    ours, theirs = np.array([1, 1, 1, 1, 0, 0, 0, 0]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert stats.paired_spread(ours, theirs, np.arange(8)) == (1.0, 1.0)
    assert stats.paired_spread(ours, theirs, np.arange(8) // 4) == (1.0, 4.0)
    assert stats.paired_spread(ours, theirs, np.arange(8) % 4) == (1.0, 1.0)  # cancels
    assert stats.paired_spread(ours, 0 * ours, np.arange(8)) == (0.5, 1.0)
    assert stats.paired_spread(ours, ours, np.arange(8)) == (0.0, 1.0)
    assert stats.paired_spread(np.ones(8), np.zeros(8), np.arange(8) // 4) == (1.0, 1.0)


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
