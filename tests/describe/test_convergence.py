"""Which images of a class are described first, and how well its mean is known."""

import math
from collections import Counter

import numpy as np
import pytest
from refused import refused

from mmpretrain_lmmreg.describe.convergence import (
    mean_and_error,
    next_count,
    orders_of,
    relative_errors,
)
from mmpretrain_lmmreg.describe.tasks import Task

# four videos, three images of each class
TASKS = [Task(f'train/{i:02d}.png', '', i % 2, f'video {i // 6}') for i in range(24)]


def test_groups_take_turns_in_every_prefix():
    orders = orders_of(TASKS, seed=0)
    assert sorted(orders) == [0, 1]
    for label, order in orders.items():
        assert sorted(order) == [i for i in range(24) if TASKS[i].label == label]
        for count in (4, 8, 12):
            seen = Counter(TASKS[i].group for i in order[:count])
            assert set(seen.values()) == {count // 4}


def test_order_depends_on_seed_and_names_alone():
    orders = orders_of(TASKS, seed=0)
    backwards = orders_of(TASKS[::-1], seed=0)
    for label in (0, 1):
        assert [TASKS[i] for i in orders[label]] == [TASKS[::-1][i] for i in backwards[label]]
    assert orders_of(TASKS, seed=1) != orders
    with refused('describe.no_label'):
        orders_of([Task('a.png', '')], seed=0)


def test_standard_error_of_independent_images_is_the_textbooks():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(50, 3))
    mean, error = mean_and_error(means, np.full(50, 10.0), range(50))
    np.testing.assert_allclose(mean, means.mean(0))
    assert error == pytest.approx(math.sqrt(means.var(0, ddof=1).sum() / 50))


def test_eq_1_weighs_images_by_their_texts():
    means = np.array([[1.0, 0], [0, 1]])
    mean, error = mean_and_error(means, np.array([3.0, 1.0]), ['a', 'b'])
    np.testing.assert_allclose(mean, [0.75, 0.25])
    # residuals times weights: 3 * (1/4, -1/4) and (-3/4, 3/4); sqrt(2 * 4 * 9/16) / 4
    assert error == pytest.approx(math.sqrt(4.5) / 4)


def test_groups_are_respected():
    rng = np.random.default_rng(1)
    videos = rng.normal(size=(20, 4))
    means, groups = np.repeat(videos, 10, axis=0), np.repeat(np.arange(20), 10)
    _, naive = mean_and_error(means, np.ones(200), range(200))
    _, error = mean_and_error(means, np.ones(200), groups)
    _, by_video = mean_and_error(videos, np.ones(20), range(20))
    assert error == pytest.approx(by_video) and error > 3 * naive
    assert mean_and_error(means, np.ones(200), ['one'] * 200)[1] == math.inf


def test_standard_error_is_right_over_repetitions():
    rng = np.random.default_rng(2)
    errors, misses = [], []
    for _ in range(400):
        offsets = rng.normal(size=(12, 2))
        groups = np.repeat(np.arange(12), 4)
        means = offsets[groups] + rng.normal(size=(48, 2))
        mean, error = mean_and_error(means, rng.integers(5, 11, 48).astype(float), groups)
        errors.append(error**2)
        misses.append((mean**2).sum())
    assert np.mean(errors) == pytest.approx(np.mean(misses), rel=0.15)


def test_relative_to_the_distance_between_the_true_means():
    means = np.array([[0.0, 0], [6, 0], [0, 8]])  # squared distances 36, 64, 100
    errors = np.array([1.0, 2, math.inf])
    plain = relative_errors(means, np.zeros(3))
    assert not plain.any()
    found = relative_errors(means, errors)  # the first two only: 36 less 1 and 4
    np.testing.assert_allclose(found[:2], errors[:2] / math.sqrt(31))
    assert found[2] == math.inf
    assert np.isinf(relative_errors(means, np.full(3, 9.0))).all()


@pytest.mark.parametrize(
    ('count', 'error', 'limit', 'expected'),
    [
        (4, 0.05, 99, 4),
        (4, math.inf, 99, 8),
        (10, 0.4, 99, 20),  # 640 needed, twice at most
        (10, 0.06, 99, 15),  # 14.4 needed
        (80, 0.0501, 99, 90),  # an eighth at least
        (8, 0.4, 9, 9),
        (9, 0.4, 9, 9),
    ],
)
def test_next_count(count, error, limit, expected):
    assert next_count(count, error, 0.05, limit) == expected
