"""Numbers at their limits: few images, equal ones, huge weights, what is damaged or overflows."""

import math
import shutil

import pytest
import torch
from refused import refused

from mmpretrain_lmmreg.io.files import cache_dir
from mmpretrain_lmmreg.runner import LMMRegRunner

NAN, INF = math.nan, math.inf
ALL = range(24)
FITTED = {
    'gda': dict(type='GDAHead'),
    'tip_adapter': dict(type='TipAdapterHead'),
    'logreg': dict(type='LogisticRegressionHead'),
    'zero_shot': dict(type='ZeroShotHead'),
}


def train(cfg, indices=ALL, **options) -> LMMRegRunner:
    cfg.train_dataloader.dataset.indices = list(indices)
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    runner = LMMRegRunner.from_cfg(cfg)
    runner.train()
    return runner


def fit(cfg, method, indices=ALL) -> LMMRegRunner:
    cfg.model.head = dict(FITTED[method], num_classes=3, in_channels=24)
    cfg.model.backbone.trainable = 'none'
    return train(cfg, indices, train_cfg__max_epochs=1)


def is_finite(runner: LMMRegRunner) -> bool:
    return all(p.isfinite().all() for p in runner.model.state_dict().values())


# ------------------------------------------------------------------- few images


def test_one_image_a_class(tiny_config):
    assert is_finite(train(tiny_config, (0, 8, 16)))


@pytest.mark.parametrize('method', FITTED)
def test_methods_without_training_on_one_image_a_class(tiny_config, method):
    assert is_finite(fit(tiny_config, method, (0, 8, 16)))


def test_a_class_without_an_image_has_no_description(tiny_config):
    with refused('text.class_not_described'):
        train(tiny_config, ALL[8:])


@pytest.mark.parametrize('source', ['class_names', 'images'])
def test_a_class_without_an_image_and_other_class_means(tiny_config, source):
    options = dict(default_hooks__class_means__source=source)
    if source == 'class_names':
        assert is_finite(train(tiny_config, ALL[8:], **options))
        return
    with refused('heads.class_without_images'):
        train(tiny_config, ALL[8:], **options)


# ------------------------------------------------------------------- equal images


@pytest.fixture
def same(tiny_config, pictures, tmp_path):
    """A data set of equal pictures."""
    root = tmp_path / 'same'
    shutil.copytree(pictures, root)
    picture = (root / 'train/red/0.png').read_bytes()
    for path in root.rglob('train/*/*.png'):
        path.write_bytes(picture)
    for part in ('train', 'val', 'test'):
        dataset = tiny_config[f'{part}_dataloader'].dataset
        dataset.data_root = str(root)
        for transform in dataset.pipeline:
            if transform['type'] == 'AttachDescriptions':
                transform['data_root'] = str(root)
    return tiny_config


def test_equal_images(same):
    assert is_finite(train(same))


@pytest.mark.parametrize('normalize', [False, True])
def test_equal_images_and_their_own_means(same, normalize):
    options = dict(default_hooks__class_means__source='images', model__head__normalize=normalize)
    assert is_finite(train(same, **options))


@pytest.mark.parametrize('method', ['gda', 'tip_adapter', 'zero_shot'])
def test_methods_without_training_on_equal_images(same, method):
    assert is_finite(fit(same, method))


def test_logistic_regression_of_equal_images(same):
    with refused('heads.equal_images'):
        fit(same, 'logreg')


# ------------------------------------------------------------------- alpha


@pytest.mark.parametrize('alpha', [1e-30, 1e30])
def test_alpha(tiny_config, alpha):
    runner = train(tiny_config, model__head__alpha=alpha)
    assert is_finite(runner)


def test_an_alpha_that_overflows_is_named(tiny_config):
    with refused('hooks.loss_not_finite', match='lower the learning rate'):
        train(tiny_config, model__head__alpha=1e38)


# ------------------------------------------------------------------- damage and overflow


def test_damaged_class_means_of_a_checkpoint(tiny_config, tmp_path):
    train(tiny_config, train_cfg__max_epochs=1, default_hooks__checkpoint__interval=1)
    path = tmp_path / 'work' / 'epoch_1.pth'
    checkpoint = torch.load(path, weights_only=False)
    checkpoint['state_dict']['head.class_means'][1] = NAN
    torch.save(checkpoint, path)
    tiny_config.resume = True
    with refused('runner.checkpoint_not_finite', match='head.class_means'):
        train(tiny_config, train_cfg__max_epochs=2)


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_a_trunk_that_overflows_is_named_and_nothing_is_kept(tiny_config, precision, monkeypatch):
    from mmpretrain_lmmreg.clip.backbone import OpenCLIPVisual

    forward = OpenCLIPVisual.forward_trunk
    overflow = lambda self, x: forward(self, x) * 1e38 * 1e38  # noqa: E731
    monkeypatch.setattr(OpenCLIPVisual, 'forward_trunk', overflow)
    with refused('features.not_finite', match=precision):
        train(tiny_config, model__backbone__precision=precision)
    assert not list(cache_dir('features').rglob('*.safetensors'))
