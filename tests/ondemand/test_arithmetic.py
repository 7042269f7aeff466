import math

import pytest
import torch
import torch.nn.functional as F
from refused import refused

from mmpretrain_lmmreg.heads.cascade_vlm import CandidateReader
from mmpretrain_lmmreg.heads.on_demand import (
    accuracy_curve,
    fit_product,
    learned_text_classifier,
    least_sure,
    margins,
    share_for,
)


@pytest.fixture
def data():
    """Weak image scores, texts (unit) and prompts of 4 classes, and 120 labels."""
    g = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 4
    image = F.one_hot(labels, 4) + torch.randn(120, 4, generator=g)
    texts = F.normalize(torch.eye(4, 8)[labels] + 0.3 * torch.randn(120, 8, generator=g), dim=1)
    return image, texts, torch.eye(4, 8), labels, torch.arange(120)


def test_good_texts_are_used(data):
    image, _, _, labels, _ = data
    product = fit_product(*data)
    assert min(product.exponents) >= 0 and sum(product.exponents[1:]) > 0
    right = (product.left_out.argmax(1) == labels).double().mean()
    assert right > (image.argmax(1) == labels).double().mean() + 0.2


def test_the_linear_form_is_the_weighted_sum(data):
    image, texts, prompts, labels, groups = data
    product = fit_product(*data)
    directions = F.normalize(F.normalize(prompts, dim=1) - prompts.mean(0), dim=1)
    named = (texts - texts.mean(0)) @ directions.T
    learned = F.linear(texts, *learned_text_classifier(texts, labels, 4))
    expected = product.exponents[1] * named + product.exponents[2] * learned
    torch.testing.assert_close(F.linear(texts, product.weight, product.bias), expected)


def test_texts_of_other_classes_lose_nothing(data):
    image, texts, prompts, labels, groups = data
    order = torch.randperm(120, generator=torch.Generator().manual_seed(1))
    product = fit_product(image, texts[order], prompts, labels, groups)
    alone = (image.argmax(1) == labels).double().mean()
    assert (product.left_out.argmax(1) == labels).double().mean() >= alone - 0.02


def test_texts_of_one_group_have_no_learned_classifier(data):
    product = fit_product(*data[:4], 0 * data[4])
    assert product.exponents[1] > 0 == product.exponents[2] and product.weight.abs().max() < 100


def test_classes_without_texts():
    weight, bias = learned_text_classifier(torch.eye(2, 3), torch.tensor([0, 2]), 4)
    assert not weight[[1, 3]].any() and bias[1] == bias[3] == bias.min()
    weight, bias = learned_text_classifier(torch.eye(2, 3), torch.tensor([1, 1]), 4)
    assert not weight.any() and not bias.any()


def test_curve_by_hand():
    image = torch.tensor([[0.9, 0.1], [0.55, 0.45], [0.6, 0.4], [0.2, 0.8]])
    product = torch.tensor([[0.1, 0.9], [0.1, 0.9], [0.8, 0.2], [0.9, 0.1]])
    curve = accuracy_curve(image, product, torch.tensor([0, 1, 0, 1]))
    # wrong without: the second image, which is the least sure; described, all but 0 and 3 are right
    assert curve[:, 2].tolist() == [0.75] * 5 + [1.0] * 10 + [0.75] * 5 + [0.5]
    torch.testing.assert_close(curve[[0, 5, 20], 1], torch.tensor([0.1, 0.2, 2.0]))
    assert share_for(curve, 0.9) == 0.25
    with refused('heads.accuracy_not_reached'):
        share_for(curve[:4], 0.9)


@pytest.mark.parametrize('share, count', [(0, 0), (0.2, 2), (0.29, 2), (0.3, 3), (1, 10)])
def test_the_budget_is_kept(share, count):
    probabilities = torch.rand(10, 3, generator=torch.Generator().manual_seed(0)).softmax(1)
    rows = least_sure(probabilities, share)
    assert len(rows) == count == math.floor(share * 10 + 1e-9)
    others = [i for i in range(10) if i not in rows.tolist()]
    if count and others:
        assert margins(probabilities)[rows].max() <= margins(probabilities)[others].min()


@pytest.mark.parametrize(
    'reply, label',
    [
        ('throwing', 2),
        ('1. Pole-vaulting.', 0),
        ('It shows pole vaulting, not a throw.', 0),
        ('vaulting', 1),
        ('throwing or vaulting', 0),  # two are named: CLIP's stays
        ('a dog', 0),
        ('climbing', 0),  # no candidate
    ],
)
def test_an_answer_names_a_candidate(reply, label):
    classes = ('pole vaulting', 'vaulting', 'throwing', 'climbing')
    reader = CandidateReader(classes, 3, 0.0, '{candidates}?')
    p = torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    assert reader.prompts_for(p) == [['pole vaulting, vaulting, throwing?']]
    found = reader.read(p, [[reply]], None)
    assert found.argmax(1) == label and found.sort().values.equal(p.sort().values)


@pytest.mark.parametrize(
    'reply, label', [('It is C++ code.', 1), ('A plant.', 2), ('An ant on a plant.', 0)]
)
def test_names_are_compared_word_by_word(reply, label):
    reader = CandidateReader(('ant', 'C++', 'plant'), 3, 0.0, '{candidates}?')
    assert reader.read(torch.tensor([[0.5, 0.3, 0.2]]), [[reply]], None).argmax(1) == label


def test_only_entropies_above_the_threshold_are_asked_about():
    p = torch.tensor([[0.98, 0.01, 0.01], [0.4, 0.3, 0.3], [0.6, 0.3, 0.1]])
    assert CandidateReader('abc', 2, 0.5, '{candidates}').unsure(p, 1).tolist() == [1, 2]
    assert CandidateReader('abc', 2, 0.0, '{candidates}').unsure(p, 0.34).tolist() == [1]
