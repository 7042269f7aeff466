"""A head's logits as tensors; of each method's in tests/heads/test_every_method.py."""

import pytest
import torch
from mmpretrain.registry import MODELS
from refused import refused

from mmpretrain_lmmreg.deploy.head_form import head_form, sum_forms, trunk_form
from mmpretrain_lmmreg.deploy.standalone import head_logits


@pytest.mark.parametrize('normalize', [True, False])
def test_form_of_a_linear_head_is_its_own_weights(normalize):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(type='ClassMeanRegHead', num_classes=3, in_channels=5, normalize=normalize)
    )
    form = head_form(head, 5)
    assert form.normalize == normalize
    assert torch.equal(form.tensors['weight'], head.fc.weight)
    assert torch.equal(form.tensors['bias'], head.fc.bias)


def test_form_with_a_cache():
    torch.manual_seed(0)
    head = MODELS.build(dict(type='TipAdapterHead', num_classes=3, in_channels=5, alpha=2.0))
    head.take_text_means(torch.randn(3, 5))
    head.fit(torch.randn(7, 5), torch.arange(7) % 3)
    tensors, normalize = head_form(head, 5)
    x = torch.randn(4, 5)
    unit = torch.nn.functional.normalize(x, dim=1)
    assert normalize
    torch.testing.assert_close(head_logits(unit, tensors), head((x,)), rtol=1e-4, atol=1e-4)
    without = unit @ tensors['weight'].T + tensors['bias']
    assert (without - head((x,))).abs().max() > 0.01


def test_sums_of_classifiers_of_trunk_features():
    """Plain, of unit vectors, with a cache, of trunk features; two of them share a projection."""
    torch.manual_seed(0)
    own, shared = torch.nn.Linear(6, 5), torch.nn.Linear(6, 5)
    small = dict(num_classes=3, in_channels=5)
    cached = MODELS.build(dict(type='TipAdapterHead', **small))
    cached.take_text_means(torch.randn(3, 5))
    cached.fit(torch.randn(7, 5), torch.arange(7) % 3)
    heads = [MODELS.build(dict(type='ClassMeanRegHead', normalize=n, **small)) for n in (0, 1, 1)]
    of_trunk = MODELS.build(dict(type='LinearClsHead', num_classes=3, in_channels=6))
    heads = [*heads, cached, of_trunk]
    projections = [own, own, shared, shared, None]
    forms = [
        trunk_form(head, project, (6, 5)) for head, project in zip(heads, projections, strict=True)
    ]
    factors = [0.5, 1.0, 2.0, 0.1, 0.7]
    found = sum_forms(forms, factors)
    assert 'unit1_projection' in found and 'unit2_projection' not in found
    x = torch.randn(4, 6)
    expected = 0
    for factor, head, project in zip(factors, heads, projections, strict=True):
        expected = expected + factor * head((x if project is None else project(x),))
    torch.testing.assert_close(head_logits(x, found), expected, rtol=1e-3, atol=1e-3)


def test_a_projection_that_is_not_linear_is_refused():
    head = MODELS.build(dict(type='ClassMeanRegHead', num_classes=3, in_channels=5))
    with refused('deploy.not_exported'):
        trunk_form(head, lambda x: x[:, :5].square(), (6, 5))
