"""mmpretrain's data set wrappers and features with each kind of head: as training on images."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mmpretrain
import pytest
import torch
from refused import refused

from mmpretrain_lmmreg.hooks import class_weights
from mmpretrain_lmmreg.io.trusted import read_checkpoint

HEADS = {  # one of each kind: trained, fitted, started, text-learning
    'lmmreg': 'match_gap',  # the method whose config has the paper's head
    'gda': 'gda',
    'mean_start': 'mean_start',
    'labo': 'labo',
}
WEIGHTS = dict(type='ClassWeightHook')
ON_IMAGES = {
    'train_cfg.type': 'EpochBasedTrainLoop',
    'val_cfg.type': 'ValLoop',
    'test_cfg.type': 'TestLoop',
}
FEATURES = {
    'class_weights': dict(custom_hooks=[WEIGHTS]),
    'ema': dict(custom_hooks=[dict(type='EMAHook', momentum=0.3)]),
    'neck': {
        'model.neck': dict(
            type='LinearNeck',
            in_channels=24,
            out_channels=24,
            gap_dim=0,
            norm_cfg=None,
            act_cfg=None,
        )
    },
    'match_gap': {'default_hooks.class_means.match_gap': True, 'model.head.alpha': 0.01},
    'views': {'train_cfg.views': 2},
}
UNEQUAL = [*range(8), *range(8, 13), *range(16, 19)]  # images of 8, 5 and 3 a class
FIRST, SECOND = UNEQUAL[:9], UNEQUAL[6:]
WRAPPERS = {
    'plain': lambda data: data,
    'repeat': lambda data: dict(type='RepeatDataset', times=2, dataset=data),
    'balanced': lambda data: dict(type='ClassBalancedDataset', oversample_thr=0.5, dataset=data),
    'concat': lambda data: dict(
        type='ConcatDataset', datasets=[dict(data, indices=part) for part in (FIRST, SECOND)]
    ),
}


@pytest.fixture
def build(config_of):
    """A function: head, wrapper, options -> a config whose steps are plain and change much."""

    def build(head, wrapper, **options):
        cfg = config_of(
            HEADS[head],
            **{
                'model.backbone.trainable': 'proj',
                'default_hooks.class_means.match_gap': False,
                'param_scheduler': [],
                **options,
            },
        )
        if head in ('gda', 'labo'):
            cfg.model.head.pop('alpha', None)
        cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3))
        cfg.train_cfg.pop('min_iters', None)
        data = cfg.train_dataloader.dataset
        if wrapper != 'concat':
            data.indices = UNEQUAL
        cfg.train_dataloader.dataset = WRAPPERS[wrapper](data)
        return cfg

    return build


def on_images(cfg):
    """The same training, on images."""
    cfg.work_dir += '-images'
    cfg.merge_from_dict(ON_IMAGES)
    cfg.train_cfg.pop('views', None)
    return cfg


def weights(runner):
    """All weights, averaged ones and those of the loss among them."""
    averages = [hook.ema_model for hook in runner.hooks if type(hook).__name__ == 'EMAHook']
    return [model.state_dict() for model in (runner.model, *averages)]


@pytest.mark.parametrize('feature', FEATURES)
@pytest.mark.parametrize(
    'wrapper',
    [pytest.param(name, marks=pytest.mark.slow) for name in WRAPPERS if name != 'concat']
    + ['concat'],
)
@pytest.mark.parametrize('head', HEADS)
def test_as_on_images(head, wrapper, feature, build, train):
    cfg = build(head, wrapper, **FEATURES[feature])
    runner = train(cfg)
    found, start = weights(runner), runner.model.backbone.tower.projection()
    expected_runner = train(on_images(cfg))
    for ours, theirs in zip(found, weights(expected_runner), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert any(p.requires_grad for p in start)
    if feature == 'class_weights':
        data = expected_runner.train_dataloader.dataset  # which is no iterator where it is wrapped
        labels = [data[i]['data_samples'].gt_label.item() for i in range(len(data))]
        assert runner.model.head.loss_module.class_weight == class_weights(labels, 3)
        assert len(set(Counter(labels).values())) > 1


def test_weights_of_a_loss_by_hand():
    assert class_weights([0, 0, 0, 1], 2) == [4 / (2 * 3), 4 / (2 * 1)]
    with refused('heads.class_without_images'):
        class_weights([0, 0, 2], 3)


def test_weights_of_an_inner_classifiers_loss(config_of, train):
    inner = {'model.head.classifier': dict(type='LinearClsHead', _delete_=True)}
    head = train(config_of('describe_on_demand', custom_hooks=[WEIGHTS], **inner)).model.head
    assert head.classifier.loss_module.class_weight == [1, 1, 1]


@pytest.mark.parametrize(
    ('method', 'options'),
    [
        ('logreg', {}),  # which no loss trains
        ('nola', {}),
        ('nola', {'model.head.loss': dict(type='CrossEntropyLoss', _delete_=True)}),
    ],
)
def test_class_weights_that_would_do_nothing_or_tell_labels(method, options, config_of, train):
    with refused('hooks.no_class_weight'):
        train(config_of(method, custom_hooks=[WEIGHTS], **options))


@pytest.mark.slow
def test_mmpretrains_own_train_program(build, train, tmp_path):
    """Class weights, averages and a neck with mean_start on concatenated images, in one run."""
    hooks = [WEIGHTS, *FEATURES['ema']['custom_hooks']]
    cfg = build('mean_start', 'concat', **FEATURES['neck'], custom_hooks=hooks)
    expected = weights(train(cfg))
    cfg.work_dir = str(tmp_path / 'theirs')
    cfg.dump(tmp_path / 'config.py')
    program = Path(mmpretrain.__file__).parent / '.mim' / 'tools' / 'train.py'
    done = subprocess.run(
        [sys.executable, program, tmp_path / 'config.py'],
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr[-2000:]
    checkpoint = read_checkpoint(tmp_path / 'theirs' / 'epoch_2.pth')
    averaged, raw = checkpoint['state_dict'], checkpoint['ema_state_dict']
    found = {name: raw.get(f'module.{name}', value) for name, value in averaged.items()}
    torch.testing.assert_close(found, dict(expected[0]), rtol=1e-5, atol=1e-5)
