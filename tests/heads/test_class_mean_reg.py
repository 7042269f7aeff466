import copy
import pickle

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from refused import refused

from mmpretrain_lmmreg.heads import ClassMeanRegHead
from mmpretrain_lmmreg.heads.class_mean_reg import class_mean_distance

MEANS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]])
X = torch.tensor([[2.0, 1.0], [0.0, 0.0]])


def samples(*labels):
    return [DataSample().set_gt_label(label) for label in labels]


def build(**kwargs):
    head = MODELS.build(dict(type='ClassMeanRegHead', num_classes=3, in_channels=2, **kwargs))
    head.fc.weight.data = torch.eye(3, 2)
    head.fc.bias.data.zero_()
    head.set_class_means(MEANS)
    return head


# By hand: x0 = (2, 1) of class 0 is 1 + 1 = 2 away, x1 = (0, 0) of class 1 is 0 + 4 = 4 away.
@pytest.mark.parametrize(
    ('reduction', 'expected'), [('batch_mean', 3.0), ('batch_sum', 6.0), ('element_mean', 1.5)]
)
def test_distance_by_hand(reduction, expected):
    assert class_mean_distance(X, MEANS[:2], reduction).item() == expected


def test_losses_by_hand():
    # logits (2, 1, 0) of class 0 and (0, 0, 0) of class 1
    ce = (torch.tensor([2.0, 1.0, 0.0]).exp().sum().log() - 2 + torch.tensor(3.0).log()) / 2
    losses = build(alpha=0.01).loss((X,), samples(0, 1))
    assert set(losses) == {'loss_ce', 'loss_reg', 'reg_ratio'}
    torch.testing.assert_close(losses['loss_ce'], ce)
    assert losses['loss_reg'].item() == pytest.approx(0.03)
    assert losses['reg_ratio'].item() == pytest.approx(0.03 / ce.item())


def test_gradient_of_the_regulariser_is_two_alpha_x_minus_c_over_the_batch():
    x = X.clone().requires_grad_()
    build(alpha=0.5).loss((x,), samples(0, 1))['loss_reg'].backward()
    torch.testing.assert_close(x.grad, 2 * 0.5 * (X - MEANS[:2]) / 2)


def test_alpha_zero_is_the_baseline():
    head = MODELS.build(dict(type='ClassMeanRegHead', num_classes=3, in_channels=2, alpha=0))
    upstream = MODELS.build(dict(type='LinearClsHead', num_classes=3, in_channels=2))
    upstream.fc.load_state_dict(head.fc.state_dict())
    losses = head.loss((X,), samples(0, 1))
    assert set(losses) == {'loss_ce'}  # and no class means are needed
    torch.testing.assert_close(
        losses['loss_ce'], upstream.loss((X,), samples(0, 1))['loss'], rtol=0, atol=0
    )


def test_soft_labels_mix_the_means():
    scores = torch.tensor([[0.25, 0.75, 0.0]])
    soft = [DataSample().set_gt_label([0]).set_gt_score(scores[0])]
    head = build(alpha=1.0)
    expected = (X[:1] - torch.tensor([[0.25, 1.5]])).square().sum()
    torch.testing.assert_close(head._regulariser(X[:1], soft), expected)


def test_normalize_scales_embeddings_for_both_losses():
    head = build(alpha=1.0, normalize=True)
    torch.testing.assert_close(head((X,))[0], torch.tensor([2.0, 1.0, 0.0]) / 5**0.5)
    unit = X[:1] / 5**0.5
    losses = head.loss((X[:1],), samples(0))
    torch.testing.assert_close(losses['loss_reg'], (unit - MEANS[:1]).square().sum())


def test_class_means_as_initial_weights():
    head = MODELS.build(
        dict(type='ClassMeanRegHead', num_classes=3, in_channels=2, alpha=0, fc_init='class_means')
    )
    head.set_class_means(MEANS)
    assert torch.equal(head.fc.weight, MEANS)
    assert not head.fc.bias.any()


def test_distance_is_in_full_precision_under_amp():
    head = build(alpha=1.0)
    head.class_means *= 100
    x = 100 * X.bfloat16() + 1
    with torch.autocast('cpu', torch.bfloat16):
        loss = head.loss((x,), samples(0, 1))['loss_reg']
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, class_mean_distance(x.float(), head.class_means[:2]))


def test_means_are_kept_in_the_checkpoint():
    head, other = build(), ClassMeanRegHead(num_classes=3, in_channels=2)
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.class_means, MEANS)
    other.loss((X,), samples(0, 1))


def test_unset_means():
    head = ClassMeanRegHead(num_classes=3, in_channels=2)
    with refused('heads.not_set_up'):
        head.loss((X,), samples(0, 1))


@pytest.mark.parametrize(
    ('means', 'code'),
    [
        (torch.ones(3, 5), 'heads.other_width'),
        (torch.full((3, 2), torch.nan), 'heads.bad_class_means'),
        (torch.zeros(3, 2), 'heads.bad_class_means'),
    ],
)
def test_means_that_do_not_fit(means, code):
    with refused(code):
        build().set_class_means(means)


def test_multi_label_is_refused_by_name():
    several = [DataSample(metainfo=dict(img_path='two.jpg')).set_gt_label([0, 1])]
    with refused('heads.several_labels', match='two.jpg'):
        build()._regulariser(X[:1], several)
    scores = [DataSample(metainfo=dict(img_path='s.jpg')).set_gt_score(torch.tensor([1.0, 1, 0]))]
    with refused('heads.several_labels'):
        build()._regulariser(X[:1], scores)


@pytest.mark.parametrize(('classes', 'dim'), [(4, 2), (3, 5)])
def test_checkpoint_of_another_shape(classes, dim):
    state = ClassMeanRegHead(num_classes=classes, in_channels=dim).state_dict()
    message = rf'has the shape \({classes}, {dim}\), the config.s has \(3, 2\)'
    with refused('heads.other_shape', match=message):
        copy.deepcopy(build()).load_state_dict(state)


def test_predictions_that_are_sent_hold_no_batch(monkeypatch):
    """Pickle writes the whole tensor that a row is a view of: 64 times as much at batch 64."""
    head = MODELS.build(dict(type='ClassMeanRegHead', num_classes=500, in_channels=2))
    with torch.no_grad():
        alone = [s.pred_score for s in head.predict((torch.ones(64, 2),))]
        monkeypatch.setattr('mmpretrain_lmmreg.heads.base.get_world_size', lambda: 2)
        sent = [s.pred_score for s in head.predict((torch.ones(64, 2),))]
    assert torch.equal(torch.stack(alone), torch.stack(sent))
    assert len(pickle.dumps(sent)) < 2 * 64 * 500 * 4
