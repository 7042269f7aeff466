"""Starts from class means: the arithmetic by hand, and a run from start to test."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from scipy.optimize import minimize
from torch.nn.functional import cross_entropy, linear, normalize

from mmpretrain_lmmreg.heads.stacking import (
    SMOOTHING,
    left_out_scores,
    mean_classifier,
    stacking_weights,
    text_classifier,
)
from mmpretrain_lmmreg.hooks.run_folder import load_run


@pytest.fixture
def data():
    """40 unit embeddings of 3 classes in 20 groups of two, and aligned text means."""
    torch.manual_seed(0)
    centres, labels = torch.randn(3, 8).double(), torch.arange(40) // 2 % 3
    x = normalize(centres[labels] + 0.7 * torch.randn(40, 8).double(), dim=1)
    return x, labels, torch.arange(40) // 2, 5 + centres + 0.3 * torch.randn(3, 8).double()


def build(**options):
    return MODELS.build(dict(type='MeanStartHead', num_classes=3, in_channels=8, **options))


def test_classifiers_by_hand():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    weight, bias = mean_classifier(x, torch.tensor([0, 1, 0]), 3)
    centre = torch.tensor([2 / 3, 1 / 3])
    torch.testing.assert_close(weight, torch.stack([x[0] - centre, x[1] - centre, 0 * centre]))
    torch.testing.assert_close(linear(centre[None], weight, bias), torch.zeros(1, 3))
    weight, bias = text_classifier(x, torch.tensor([[9.0, 3.0], [3.0, 1.0], [0.0, 2.0]]))
    torch.testing.assert_close(weight[0], weight[1])  # the length of a text mean does not count
    torch.testing.assert_close(weight.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(linear(centre[None], weight, bias), torch.zeros(1, 3))


def test_no_image_is_scored_by_a_classifier_that_saw_its_group(data):
    x, labels, groups, _ = data
    seen = []

    def fit(images, of):
        seen.append({int((x == image).all(1).nonzero()[0, 0]) for image in images})
        return mean_classifier(images, of, 3)

    scores = left_out_scores(fit, x, labels, groups, 10**9)
    for i in range(len(x)):
        without = [s for s in seen if i not in s]
        assert len(without) == 1  # left out once
        assert not any(groups[j] == groups[i] for j in without[0])
        rest = sorted(without[0])
        expected = linear(x[i], *mean_classifier(x[rest], labels[rest], 3))
        torch.testing.assert_close(scores[i], expected)
    before = len(seen)
    assert len(left_out_scores(fit, x, labels, groups, 5)) == 40
    assert len(seen) == before + 5


def test_weights_minimise_the_smoothed_cross_entropy(data):
    x, labels, _, texts = data
    scores = [linear(x, *text_classifier(x, texts)), linear(x, *mean_classifier(x, labels, 3))]

    def loss(w):
        total = sum(s * each for s, each in zip(w, scores, strict=True))
        return cross_entropy(total, labels, label_smoothing=SMOOTHING).item()

    found = stacking_weights(scores, labels)
    best = minimize(loss, [1, 1], method='Nelder-Mead', options=dict(xatol=1e-6, fatol=1e-10))
    assert loss(found) == pytest.approx(best.fun, abs=1e-6)


def test_texts_that_mislead_get_no_weight(data):
    x, labels, groups, texts = data
    head, other = build(), build()
    head.fit(x, labels, groups, {'class_names': texts})
    other.fit(x, labels, groups, {'class_names': -texts})
    assert head.start['weight of class_names'] > 0
    assert head.start['alignment of class_names'] > 0.5
    assert other.start['weight of class_names'] == 0
    assert other.start['alignment of class_names'] < -0.5
    assert other.start['weight of images'] > 0


@pytest.mark.parametrize('images', ['means', 'gaussian'])
def test_start_is_the_weighted_sum(data, images):
    x, labels, groups, texts = data
    head = build(images=images)
    head.fit(x, labels, groups, {'class_names': texts})
    assert (head((x.float(),)).argmax(1) == labels).double().mean() > 0.8
    only = build(images=images, texts=[])
    only.fit(x, labels, groups, {})
    if images == 'means':
        weight, bias = mean_classifier(x, labels, 3)
        scale = only.start['weight of images']
        torch.testing.assert_close(only.fc.weight.data, (scale * weight).float(), rtol=1e-3, atol=0)


def test_one_image_a_class_leaves_the_texts(data):
    x, labels, groups, texts = data
    head = build()
    head.fit(x[:6:2], labels[:6:2], groups[:6:2], {'class_names': texts})
    assert head.start['weight of class_names'] > 0 and head.fc.weight.isfinite().all()


@pytest.mark.parametrize('images', ['means', 'gaussian'])
def test_images_that_cannot_be_held_out_leave_the_texts(images, data):
    """All of one group; or two, so that a Gaussian is fitted to one of them."""
    x, labels, groups, texts = data
    head = build(images=images)
    head.fit(x, labels, 0 * groups, {'class_names': texts})
    assert head.start['weight of class_names'] > 0 == head.start['weight of images']
    head = MODELS.build(dict(type='MeanStartHead', num_classes=2, in_channels=8, images=images))
    head.fit(x[:4:2], labels[:4:2], groups[:4:2], {'class_names': texts[:2]})
    assert head.fc.weight.isfinite().all()


@pytest.mark.parametrize(
    ('method', 'texts'),
    [('mean_start', ['descriptions', 'class_names']), ('mean_start', []), ('gaussian_start', None)],
)
def test_the_start_is_in_the_record_also_after_resuming(config_of, train, method, texts):
    cfg = config_of(method)
    if texts is not None:
        cfg.model.head.texts = texts
    cfg.train_cfg.update(max_epochs=1, min_iters=0)
    runner = train(cfg)
    start = runner.model.head.start
    assert set(start) == {
        *(f'weight of {name}' for name in (*(runner.model.head.text_sources), 'images')),
        *(f'alignment of {name}' for name in runner.model.head.text_sources),
    }
    assert load_run(runner.work_dir)['start'] == start
    weights = runner.model.head.fc.weight.clone()
    cfg.resume = True
    again = train(Config(cfg.to_dict()))
    assert torch.equal(again.model.head.fc.weight, weights) and not again.model.head.start
    assert load_run(runner.work_dir)['start'] == start


@pytest.mark.parametrize('control', ['shuffled', 'cut_names'])
def test_controls_change_the_texts_it_starts_from(config_of, train, control):
    starts = []
    for value in (False, True):
        cfg = config_of('mean_start_descriptions')
        cfg.experiment_name = f'{control} {value}'
        cfg.model.head.texts = ['descriptions']
        cfg.train_cfg.update(max_epochs=1, min_iters=0)
        cfg.default_hooks.class_means[control] = value
        starts.append(train(cfg).model.head.start['alignment of descriptions'])
    assert abs(starts[0] - starts[1]) > 0.01


def test_enough_steps_with_few_images(config_of, train):
    cfg = config_of('mean_start')
    cfg.train_cfg.update(max_epochs=2, min_iters=11)
    cfg.default_hooks.checkpoint.interval = 1
    runner = train(cfg)  # three batches an epoch
    assert (runner.epoch, runner.iter, runner.max_epochs) == (4, 12, 4)
    # twice the epochs, as many checkpoints
    assert {p.stem for p in Path(runner.work_dir).glob('*.pth')} == {'epoch_2', 'epoch_4'}
