"""A head's logits as a matrix and a cache; of each method's in tests/heads/test_every_method.py."""

import pytest
import torch
from mmpretrain.registry import MODELS

from mmpretrain_lmmreg.deploy.head_form import cached_logits, head_form


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
    cache = {name: tensors[name] for name in ('keys', 'key_values', 'key_sharpness')}
    found = unit @ tensors['weight'].T + tensors['bias'] + cached_logits(unit, **cache)
    assert normalize
    torch.testing.assert_close(found, head((x,)), rtol=1e-4, atol=1e-4)
    without = unit @ tensors['weight'].T + tensors['bias']
    assert (without - head((x,))).abs().max() > 0.01
