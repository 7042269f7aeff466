"""RaFA: the paper's regulariser with random targets."""

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

SAMPLES = [DataSample().set_gt_label(label) for label in (1, 0, 1)]


def build(**kwargs):
    torch.manual_seed(3)
    return MODELS.build(dict(type='RaFAHead', num_classes=2, in_channels=400, **kwargs))


def test_targets_are_unit_normal_and_new_at_each_step():
    head, x = build(alpha=1.0), (torch.zeros(3, 400),)
    first, second = (head.loss(x, SAMPLES)['loss_reg'].item() for _ in range(2))
    assert first != second
    # of 3 * 400 squared normal variables, over 3: 400 +- 16
    assert first == pytest.approx(400, abs=65) and second == pytest.approx(400, abs=65)
    assert build(alpha=1.0).loss(x, SAMPLES)['loss_reg'].item() == first


def test_the_rest_is_the_papers_head():
    head, x = build(alpha=0.5, reduction='element_mean'), (torch.zeros(3, 400),)
    losses = head.loss(x, SAMPLES)
    assert losses['loss_reg'].item() == pytest.approx(0.5, abs=0.1)
    assert losses['loss_ce'] > 0 and losses['reg_ratio'] > 0


def test_trains_without_text(config_of, train):
    assert not train(config_of('rafa')).model.head.class_means.any()
