"""The paired test rejects at most 5 % of equal methods, and of deterministic ones as many.

Far into the tail `dev/calibrate_tests.py` counts, whose figures are in docs/statistics.md.
"""

import numpy as np
import pytest

from mmpretrain_lmmreg.evidence import inference

DRAWS = 1200
IMAGES, SIZE = 400, 2  # SIZE images a group
GROUPS = np.arange(IMAGES) // SIZE


def equal_methods(rng, seeds, shift, own, shared, deterministic=False):
    """(S, N) scores of two methods that are equally good over all runs and all images.

    An image is right where its ease, the method's ``own`` taste for it, the run's chance and the
    ``shift`` of the whole run add up to more than 0. Runs of one seed have the ``shared`` part of
    their chance and shift in common; a deterministic second method has one run of its own.
    """
    ease = np.repeat(rng.normal(1, 2, IMAGES // SIZE), SIZE) + rng.normal(0, 0.7, IMAGES)
    chance = 0.5 * rng.normal(size=(3, seeds, IMAGES)) + shift * rng.normal(size=(3, seeds, 1))
    mixed = np.sqrt(shared) * chance[2] + np.sqrt(1 - shared) * chance[:2]
    if deterministic:
        mixed = [mixed[0], np.hypot(0.5, shift) * rng.normal(size=(1, IMAGES))]
    return [ease + own * rng.normal(size=IMAGES) + each > 0 for each in mixed]


def rejected(test, draws=DRAWS, **settings):
    rng = np.random.default_rng(2026)
    return np.mean([test(*equal_methods(rng, **settings), GROUPS) < 0.05 for _ in range(draws)])


def sign_flips(scores, baseline, groups):
    return inference.sign_flip_test(scores, baseline, groups, resamples=499)


@pytest.mark.slow
@pytest.mark.parametrize('seeds', [3, 5, 10])
@pytest.mark.parametrize('shift', [0, 0.15])
@pytest.mark.parametrize(
    'kind',
    [
        pytest.param(dict(own=0, shared=0), id='a method against itself'),
        pytest.param(dict(own=0, shared=0.9), id='itself, from the same start'),
        pytest.param(dict(own=0.5, shared=0), id='two methods'),
        pytest.param(dict(own=0.5, shared=0.9), id='two methods, from the same start'),
        pytest.param(dict(own=0.5, shared=0, deterministic=True), id='beside a deterministic one'),
    ],
)
def test_at_most_five_percent_of_equal_methods_differ(seeds, shift, kind):
    share = rejected(inference.paired_test, seeds=seeds, shift=shift, **kind)
    assert {3: 0.005, 5: 0.02, 10: 0.025}[seeds] <= share <= 0.065


def test_runs_shift_what_the_test_of_single_runs_cannot_see():
    """Why there is no p-value below three seeds, and ``p_runs`` says what it is about.

    Deterministic methods are judged by it, too: images are all that could be others.
    """
    settings = dict(draws=400, seeds=1, shared=0)
    assert 0.03 <= rejected(sign_flips, shift=0, own=0.5, **settings) <= 0.07
    assert rejected(sign_flips, shift=0.3, own=0, **settings) > 0.3


def unequal_numbers(scores, baseline, groups):
    return inference.paired_test(scores, baseline[:3], groups)


def test_unequal_numbers_of_seeds_are_not_too_liberal():
    settings = dict(seeds=5, shift=0.15, own=0.5)
    assert 0.005 <= rejected(unequal_numbers, draws=200, shared=0, **settings) <= 0.065
    assert rejected(unequal_numbers, draws=200, shared=0.9, **settings) <= 0.07


def test_intervals_hold_the_truth_at_least_as_often_as_they_say():
    rng = np.random.default_rng(7)
    held = []
    for _ in range(DRAWS // 3):
        ours, theirs = equal_methods(rng, 5, 0.15, 0.5, 0)
        low, high = inference.interval(GROUPS, ours, theirs)
        held.append(low <= 0 <= high)
        assert (low > 0 or high < 0) == (inference.paired_test(ours, theirs, GROUPS) < 0.05)
    assert 0.94 <= np.mean(held) <= 0.99
