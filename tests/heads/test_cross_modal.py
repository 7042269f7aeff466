"""Cross-modal adaptation: texts as training samples."""

from collections import Counter

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from refused import refused
from torch.nn.functional import cross_entropy, normalize

from mmpretrain_lmmreg.heads import cross_modal
from mmpretrain_lmmreg.heads.base import generator_of_step

SAMPLES = [DataSample().set_gt_label(label) for label in (1, 0)]
TEXTS = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]])
COUNTS = [Counter({0: 2}), Counter({1: 1, 2: 1})]


def build():
    head = MODELS.build(dict(type='CrossModalHead', num_classes=2, in_channels=2, logit_scale=3.0))
    head.take_text_means(torch.tensor([[2.0, 0.0], [0.0, 5.0]]))
    return head


def test_starts_as_zero_shot():
    head, x = build(), torch.randn(4, 2)
    zero_shot = MODELS.build(
        dict(type='ZeroShotHead', num_classes=2, in_channels=2, logit_scale=3.0)
    )
    zero_shot.take_text_means(head.text_weights)
    torch.testing.assert_close(head((x,)), zero_shot((x,)))


def test_as_many_texts_as_images_each_as_often_as_it_occurs(monkeypatch):
    head, x = build(), torch.tensor([[1.0, 1.0], [2.0, 0.5]])
    head.take_samples(TEXTS, COUNTS)
    assert head.samples[1].tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(head.samples[0], normalize(TEXTS, dim=1)[[0, 0, 1, 2]])
    monkeypatch.setattr(cross_modal.torch, 'randint', lambda n, size, **_: torch.tensor([3, 0]))
    together = torch.cat([x, TEXTS[[2, 0]]])
    expected = cross_entropy(
        3 * normalize(together, dim=1) @ head.fc.weight.T, torch.tensor([1, 0, 1, 0])
    )
    torch.testing.assert_close(head.loss((x,), SAMPLES)['loss'], expected)
    mixed = [DataSample().set_gt_score(torch.tensor(row)) for row in ([0.3, 0.7], [0.5, 0.5])]
    soft = torch.tensor([[0.3, 0.7], [0.5, 0.5], [0.0, 1.0], [1.0, 0.0]])
    expected = cross_entropy(3 * normalize(together, dim=1) @ head.fc.weight.T, soft)
    for sample, image in zip(mixed, SAMPLES, strict=True):
        sample.set_gt_label(image.gt_label)  # which mmpretrain leaves beside it
    torch.testing.assert_close(head.loss((x,), mixed)['loss'], expected)


def test_each_step_draws_anew_and_a_run_of_the_same_seed_the_same():
    torch.manual_seed(1)
    first, again, next_ = (
        torch.rand(5, generator=generator_of_step(step)).tolist() for step in (4, 4, 5)
    )
    torch.manual_seed(2)
    other = torch.rand(5, generator=generator_of_step(4)).tolist()
    assert first == again and first != next_ and first != other


def test_training_needs_texts():
    with refused('heads.not_set_up'):
        build().loss((torch.ones(2, 2),), SAMPLES)


@pytest.mark.parametrize('method', ['cross_modal', 'cross_modal_descriptions'])
def test_trains_from_the_texts(method, config_of, train):
    head = train(config_of(method)).model.head
    assert (len(head.samples[0]) > 3) == (method == 'cross_modal_descriptions')
    assert 0 < (head.fc.weight - head.text_weights).abs().max() < 0.1
