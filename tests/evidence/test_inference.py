"""Intervals and tests against numbers that are known otherwise."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from mmpretrain_lmmreg.evidence import inference


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_interval_of_single_images_is_the_binomial_one(rng):
    scores = (rng.random((1, 2000)) < 0.8).astype(float)
    low, high = inference.interval(np.arange(2000), scores)
    exact = scipy_stats.binomtest(int(scores.sum()), 2000).proportion_ci(method='wilson')
    assert low == pytest.approx(exact.low, abs=0.002)
    assert high == pytest.approx(exact.high, abs=0.002)


def test_doubling_every_image_inside_its_group_does_not_shrink_the_interval(rng):
    scores, groups = (rng.random((1, 60)) < 0.7).astype(float), np.arange(60) // 2
    single = inference.interval(groups, scores)
    doubled = inference.interval(np.repeat(groups, 2), np.repeat(scores, 2, axis=1))
    assert doubled == single
    apart = inference.interval(np.arange(120), np.repeat(scores, 2, axis=1))
    assert apart[1] - apart[0] < 0.9 * (single[1] - single[0])


def test_seeds_that_disagree_widen_the_interval():
    agree = np.tile([1, 1, 1, 0], (4, 25))
    disagree = np.vstack([np.ones((2, 100)), np.zeros((2, 100))])
    groups = np.arange(100)
    low, high = inference.interval(groups, agree)
    assert low > 0.6 and high < 0.85
    assert inference.interval(groups, disagree) == (0.0, 1.0)


def test_interval_of_a_difference(rng):
    scores = (rng.random((3, 300)) < 0.7).astype(float)
    same = inference.interval(np.arange(300), scores[:1], scores[:1])
    assert same == (0.0, 0.0)  # one seed each: the groups are drawn together
    low, high = inference.interval(np.arange(300), np.ones((3, 300)), scores)
    alone = inference.interval(np.arange(300), scores)
    np.testing.assert_allclose((1 - high, 1 - low), alone, atol=0.01)


def test_one_group_shows_nothing_about_other_images():
    assert all(map(math.isnan, inference.interval(['v'] * 4, [[1, 0, 1, 1]])))
    ours = [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 1]]
    assert inference.paired_test(ours, np.zeros((3, 4)), ['v'] * 4) == 1


def test_sign_flips_of_single_images_are_the_exact_sign_test():
    ours, theirs = np.zeros(20), np.zeros(20)
    ours[:9], theirs[9:11] = 1, 1  # 9 won, 2 lost
    p = inference.sign_flip_test(ours, theirs, np.arange(20))
    assert inference.mean_difference(ours, theirs) == pytest.approx(7 / 20)
    assert p == pytest.approx(scipy_stats.binomtest(2, 11).pvalue)
    assert p == pytest.approx(inference.mcnemar_test(ours, theirs))


def test_sign_flips_keep_a_group_together():
    ours, theirs = np.ones(12), np.zeros(12)
    apart = inference.sign_flip_test(ours, theirs, np.arange(12))
    together = inference.sign_flip_test(ours, theirs, np.arange(12) // 4)
    assert apart == pytest.approx(2 / 2**12) and together == pytest.approx(2 / 2**3)
    assert inference.sign_flip_test(ours, theirs, ['v'] * 12) == 1.0


def test_mcnemar_of_a_known_table():
    # 59 + 6 + 16 + 80 images: 2 * P(X <= 6), X ~ Binomial(22, 1/2)
    ours = np.repeat([True, True, False, False], (59, 6, 16, 80))
    theirs = np.repeat([True, False, True, False], (59, 6, 16, 80))
    assert inference.mcnemar_test(ours, theirs) == pytest.approx(0.0524788, abs=1e-6)


def test_holm():
    assert inference.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert inference.holm([]) == []


def test_smallest_difference():
    d = inference.smallest_difference(654, 0.04)
    assert d == pytest.approx(0.0218, abs=3e-4)
    z = scipy_stats.norm.ppf([0.975, 0.8])
    needed = (z[0] * math.sqrt(0.04) + z[1] * math.sqrt(0.04 - d**2)) ** 2 / d**2
    assert needed == pytest.approx(654)
    assert inference.smallest_difference(1308, 0.04, design_effect=2) == pytest.approx(d)
    few = inference.smallest_difference(60, 0.04)  # 4 % of disagreement could not show it
    assert few == pytest.approx(inference.smallest_difference(60, 0))
    assert few == pytest.approx(inference.smallest_difference(60, few))
    assert few * 60 == pytest.approx((z[0] + z[1] * math.sqrt(1 - few)) ** 2)
    assert math.isnan(inference.smallest_difference(3, 0.04))


def test_smallest_difference_is_shown_four_times_in_five(rng):
    images, psi = 400, 0.1
    d = inference.smallest_difference(images, psi)
    share = [(psi + d) / 2, (psi - d) / 2, 1 - psi]
    won, lost, _ = rng.multinomial(images, share, size=20000).T
    shown = np.abs(won - lost) > scipy_stats.norm.ppf(0.975) * np.sqrt(won + lost)
    assert shown.mean() == pytest.approx(0.8, abs=0.02)


def test_paired_spread():
    ours, theirs = np.array([1, 1, 1, 1, 0, 0, 0, 0]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert inference.paired_spread(ours, theirs, np.arange(8)) == (1.0, 1.0)
    assert inference.paired_spread(ours, theirs, np.arange(8) // 4) == (1.0, 4.0)
    assert inference.paired_spread(ours, theirs, np.arange(8) % 4) == (1.0, 1.0)  # cancels
    assert inference.paired_spread(ours, 0 * ours, np.arange(8)) == (0.5, 1.0)
    assert inference.paired_spread(ours, ours, np.arange(8)) == (0.0, 1.0)
    assert inference.paired_spread(np.ones(8), np.zeros(8), np.arange(8) // 4) == (1.0, 1.0)


def test_counts_that_agree_differ_by_exactly_nothing():
    """Means of seven runs differ in their last bits; an exact 0 is p = 1, not 0.906."""
    rng = np.random.default_rng(1)
    ours = rng.random((7, 90)) < 0.7
    theirs = ours[:, rng.permutation(90)]  # other images, as many right
    assert inference.mean_difference(ours, theirs) == 0
    assert inference.sign_flip_test(ours, theirs, np.arange(90)) == 1
    assert inference.paired_test(ours, theirs, np.arange(90)) == 1
    assert inference.mean_difference(ours, theirs[:3]) == pytest.approx(
        ours.mean() - theirs[:3].mean()
    )


def test_three_runs_of_whole_shifts_are_students_t(rng):
    """Where runs differ by a shift of all images, runs alone decide: t with S - 1 degrees."""
    gains = np.array([0.02, 0.05, 0.11])
    theirs = np.zeros((3, 1000))
    ours = np.zeros((3, 1000))
    for row, gain in zip(ours, gains, strict=True):
        row[:: round(1 / gain)] = 1
    ours = ours[:, rng.permutation(1000)]
    known = inference.uncertainty(np.arange(1000), ours, theirs)
    shifts = ours.mean(axis=1)
    ((variance, df),) = known.runs
    assert variance == pytest.approx(shifts.var(ddof=1) / 3) and df == 2
    assert known.images[0] < 0.1 * variance
    expected = scipy_stats.ttest_1samp(shifts, 0).pvalue
    assert inference.paired_test(ours, theirs, np.arange(1000)) == pytest.approx(expected, abs=0.02)


def test_runs_that_agree_leave_the_paired_t_test_of_images(rng):
    ours, theirs = (np.tile(rng.random(200) < 0.7, (4, 1)).astype(float) for _ in range(2))
    expected = scipy_stats.ttest_rel(ours[0], theirs[0]).pvalue
    assert inference.paired_test(ours, theirs, np.arange(200)) == pytest.approx(expected)


def test_smallest_difference_grows_with_the_spread_between_runs(rng):
    ours, theirs = (rng.random((5, 400)) < share for share in (0.75, 0.7))
    alike = inference.uncertainty(np.arange(400), ours, theirs)
    apart = inference.uncertainty(np.arange(400), ours ^ (np.arange(5) % 2 == 0)[:, None], theirs)
    few, many = (inference.smallest_difference(400, 0.1, 1, k) for k in (alike, apart))
    assert inference.smallest_difference(400, 0.1) < few < many


def test_a_t_of_its_own_for_each_part():
    """Without runs, Student's t of the images; without images, of the runs; in between, more."""
    for parts in (((), (2.0, 30)), (((2.0, 4),), (0.0, 30))):
        known = inference.Uncertainty(*parts, 0.0)
        df = 4 if parts[0] else 30
        for p in (0.05, 1e-3, 1e-6):
            width = scipy_stats.t.isf(p / 2, df) * math.sqrt(2)
            assert known.half_width(math.log(p)) == pytest.approx(width)
            assert known.p_value(width) == pytest.approx(p)
    both = inference.Uncertainty(((1.0, 2), (1.0, 4)), (1.0, 30), 0.0)
    t = scipy_stats.t.isf(0.0005, [2, 4, 30])
    assert both.half_width(math.log(1e-3)) == pytest.approx(math.sqrt((t**2).sum()))
    assert both.p_value(1e9) > 0


def test_runs_that_agree_by_rounding_have_a_spread():
    """Three runs of 60 images have the same accuracy now and then; they are no fitted method."""
    scores = np.ones((3, 60))
    for row, column in enumerate((4, 20, 50)):
        scores[row, column] = 0
    ((variance, _),) = inference.uncertainty(np.arange(60), scores).runs
    assert variance == pytest.approx(1 / (12 * 60**2) / 3)
    assert inference.uncertainty(np.arange(60), scores[[0, 0, 0]]).runs == ((0.0, 2),)
