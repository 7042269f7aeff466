"""Choices by seed: never across groups, the same everywhere, from the samples given."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from mmpretrain_lmmreg.datasets.splits import few_shot, half_of_classes, hold_out


def make(labels, groups=None):
    groups = groups or [None] * len(labels)
    return [
        {'rel_path': f'{i}.jpg', 'gt_label': c, 'group': g}
        for i, (c, g) in enumerate(zip(labels, groups, strict=True))
    ]


def names(samples):
    return [s['rel_path'] for s in samples]


def test_hold_out_takes_the_fraction_of_every_class():
    kept, held = hold_out(make([0] * 50 + [1] * 10 + [2]), 0.2, 0)
    assert Counter(s['gt_label'] for s in held) == {0: 10, 1: 2}
    assert Counter(s['gt_label'] for s in kept) == {0: 40, 1: 8, 2: 1}


def test_hold_out_is_pinned():
    """A seed must mean the same images in every version and on every machine."""
    samples = make([0, 1] * 10)
    assert names(hold_out(samples, 0.2, 0)[1]) == PINNED_VAL
    assert names(few_shot(samples, 2, 0)) == PINNED_SHOTS
    assert names(hold_out(samples, 0.2, 1)[1]) != PINNED_VAL
    assert names(few_shot(samples, 2, 1)) != PINNED_SHOTS


PINNED_VAL = ['0.jpg', '7.jpg', '18.jpg', '19.jpg']
PINNED_SHOTS = ['1.jpg', '2.jpg', '6.jpg', '17.jpg']


def test_order_of_the_files_does_not_matter():
    samples = make([0, 1] * 10, [f'g{i // 3}' for i in range(20)])
    backwards = samples[::-1]
    assert set(names(hold_out(samples, 0.3, 5)[1])) == set(names(hold_out(backwards, 0.3, 5)[1]))
    assert set(names(few_shot(samples, 3, 5))) == set(names(few_shot(backwards, 3, 5)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=60),
    st.floats(0, 0.9),
    st.integers(0, 3),
)
def test_hold_out_divides_no_group_and_empties_no_class(rows, fraction, seed):
    samples = make([c for c, _ in rows], [f'g{g}' for _, g in rows])
    kept, held = hold_out(samples, fraction, seed)
    assert sorted(names(kept + held)) == sorted(names(samples))
    assert not {s['group'] for s in kept} & {s['group'] for s in held}
    assert {s['gt_label'] for s in kept} == {s['gt_label'] for s in samples}


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 40), st.floats(0.1, 0.9), st.integers(0, 3), st.data())
def test_an_image_less_changes_the_place_of_one_other_at_most(count, fraction, seed, data):
    samples = make([i % 2 for i in range(count)])
    lost = data.draw(st.integers(0, count - 1))
    held = set(names(hold_out(samples, fraction, seed)[1]))
    rest = samples[:lost] + samples[lost + 1 :]
    now = set(names(hold_out(rest, fraction, seed)[1]))
    assert len((held - {samples[lost]['rel_path']}) ^ now) <= 1


def test_few_shot_counts_and_nests():
    samples = make([0] * 9 + [1] * 2 + [2] * 5)
    four, two = few_shot(samples, 4, 7), few_shot(samples, 2, 7)
    assert Counter(s['gt_label'] for s in four) == {0: 4, 1: 2, 2: 4}
    assert set(names(two)) < set(names(four))


def test_halves_of_an_odd_number_of_classes():
    assert list(half_of_classes(5, 'base')) == [0, 1, 2]
    assert list(half_of_classes(5, 'new')) == [3, 4]
