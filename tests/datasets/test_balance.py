"""Class weights: the numbers, and the hook that gives them to a head's loss."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import HOOKS, MODELS

from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.hooks import class_weights


def runner(head, labels):
    dataset = SimpleNamespace(get_gt_labels=lambda: labels)
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))
    return SimpleNamespace(model=SimpleNamespace(head=head), train_loop=loop)


def test_weights_by_hand():
    assert class_weights([0, 0, 0, 1], 2) == [4 / (2 * 3), 4 / (2 * 1)]
    with pytest.raises(InputError, match=r'without a training image: \[1\]'):
        class_weights([0, 0, 2], 3)


def test_hook_weighs_the_loss():
    init_default_scope('mmpretrain')
    head = MODELS.build(dict(type='ClassMeanRegHead', num_classes=2, in_channels=3, alpha=0))
    HOOKS.build(dict(type='ClassWeightHook')).before_train(runner(head, [0, 0, 0, 1]))
    scores, labels = torch.tensor([[1.0, 0.0], [0.0, 0.5]]), torch.tensor([0, 1])
    each = torch.nn.functional.cross_entropy(scores, labels, reduction='none')
    expected = (each[0] * 2 / 3 + each[1] * 2) / 2
    torch.testing.assert_close(head.loss_module(scores, labels), expected)


def test_hook_refuses_a_loss_without_class_weights():
    loss = dict(type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1)
    head = dict(type='mmpretrain.LinearClsHead', num_classes=2, in_channels=3, loss=loss)
    with pytest.raises(InputError, match='LabelSmoothLoss takes no class_weight: use CrossEnt'):
        HOOKS.build(dict(type='ClassWeightHook')).before_train(runner(MODELS.build(head), [0, 1]))
