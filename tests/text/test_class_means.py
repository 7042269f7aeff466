from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from refused import refused

from mmpretrain_lmmreg.text import class_means as module
from mmpretrain_lmmreg.text.class_means import (
    class_means,
    means_by_label,
    nearest_mean_accuracy,
    sums_by_class,
    target_scale,
)

TEXTS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 3.0]])


def test_mean_is_weighted_by_text():
    # class 0: text 0 three times and text 2 once; class 1: text 1 alone
    sums, totals = sums_by_class(TEXTS, [Counter({0: 3, 2: 1}), Counter({1: 1})])
    assert totals.tolist() == [4, 1]
    assert class_means(sums, totals).tolist() == [[1.5, 0.75], [0.0, 1.0]]


def test_shares_of_several_processes_add_up():
    whole = [Counter({0: 3, 2: 1}), Counter({1: 1})]
    one = sums_by_class(TEXTS, whole)
    first = sums_by_class(TEXTS[[0, 2]], [Counter({0: 3, 1: 1}), Counter()])
    second = sums_by_class(TEXTS[[1]], [Counter(), Counter({0: 1})])
    for total, a, b in zip(one, first, second, strict=True):
        assert torch.equal(total, a + b)


def test_class_without_a_description_is_named():
    sums, totals = sums_by_class(TEXTS, [Counter({0: 1}), Counter()])
    with refused('text.class_not_described'):
        class_means(sums, totals, ['climbing', 'pole vaulting'])


def test_nearest_mean_after_centring():
    means = torch.tensor([[9.0, 1.0], [9.0, -1.0]])  # both in a cone of their own
    images = torch.tensor([[-5.0, 3.0], [-5.0, -1.0], [-5.0, 4.0], [-5.0, -2.0]])
    image_mean = torch.tensor([-5.0, 1.0])
    assert nearest_mean_accuracy(images, torch.tensor([0, 1, 0, 1]), means, image_mean) == 1.0
    assert nearest_mean_accuracy(images, torch.tensor([0, 1, 0, 0]), means, image_mean) == 0.75
    assert nearest_mean_accuracy(images, torch.tensor([0, 1, 0, 1]), means, images[2]) == 0.75


def test_class_means_are_centred_too():
    means = torch.tensor([[9.0, 3.0], [9.0, 1.0]])  # what they share would decide for the second
    images = torch.tensor([[1.0, 0.1], [1.0, -0.1]])
    assert nearest_mean_accuracy(images, torch.tensor([0, 1]), means, torch.zeros(2)) == 1.0


def test_scale_of_targets_by_hand():
    x = torch.tensor([[3.0, 4.0], [3.0, 2.0]])
    scale = target_scale(x, torch.tensor([0, 1]), torch.tensor([[0.0, 2.0], [0.0, 0.0]]))
    assert scale.image_norm == pytest.approx((5 + 13**0.5) / 2)
    assert scale.mean_norm == pytest.approx(1)
    assert scale.distance == pytest.approx(13)  # (3, 2) away each, which is all offset
    assert scale.offset == pytest.approx(1)
    assert scale.alignment == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 19)), min_size=1, max_size=60),
    st.integers(1, 4),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_order_shards_and_repetition_do_not_change_class_means(pairs, shards, times, random):
    """Each pair is a description: the class of its image, and which of 20 texts it is."""
    pairs += [(label, 0) for label in range(3)]
    table = torch.randn(20, 8, generator=torch.Generator().manual_seed(0)) * 30
    labels = torch.tensor([label for label, _ in pairs])
    expected = torch.stack(
        [
            table[[text for label, text in pairs if label == number]].double().mean(0)
            for number in range(3)
        ]
    )
    random.shuffle(pairs)
    texts = list(dict.fromkeys(text for _, text in pairs))
    parts = []
    for shard in range(shards):
        own = texts[shard::shards]
        counts = [
            Counter({i: times * pairs.count((label, text)) for i, text in enumerate(own)})
            for label in range(3)
        ]
        parts.append(sums_by_class(table[own], [+counter for counter in counts]))
    sums, totals = (sum(part) for part in zip(*parts, strict=True))
    assert totals.tolist() == [times * n for n in labels.bincount().tolist()]
    torch.testing.assert_close(class_means(sums, totals).double(), expected, rtol=1e-6, atol=1e-6)


def test_figures_do_not_depend_on_how_many_rows_are_taken_at_a_time(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x, means = (torch.randn(n, 24, generator=generator) for n in (300, 5))
    labels = torch.arange(300) % 5
    whole = means_by_label(x, labels, 5)
    monkeypatch.setattr(module, 'ROWS', 7)
    assert torch.equal(means_by_label(x, labels, 5), whole)
    scale = target_scale(x, labels, means)
    differences = x.double() - means[labels].double()
    distance = differences.square().sum(1).mean().item()
    assert scale.distance == pytest.approx(distance, rel=1e-12)
    offset = differences.mean(0).square().sum().item() / distance
    assert scale.offset == pytest.approx(offset, rel=1e-9)
    assert scale.image_norm == pytest.approx(x.double().norm(dim=1).mean().item(), rel=1e-12)


def test_embeddings_are_never_all_in_float64(monkeypatch):
    """A million embeddings of 768 would take 6 GB for each such copy."""
    sizes = []
    double = torch.Tensor.double
    monkeypatch.setattr(module, 'ROWS', 7)
    monkeypatch.setattr(torch.Tensor, 'double', lambda t: sizes.append(len(t)) or double(t))
    target_scale(torch.randn(300, 24), torch.arange(300) % 5, torch.randn(5, 24))
    assert sizes and max(sizes) <= 7
