"""Each thing that changes the features changes the name of their table, and nothing else does."""

import copy
import os

import pytest
from mmpretrain.registry import DATASETS, MODELS

from mmpretrain_lmmreg.cache import digest
from mmpretrain_lmmreg.features.trunk import file_key, trunk_about


@pytest.fixture
def name(tiny_config):
    """Name of the table after some changes of the config; the weights are as loaded."""

    def of(changes=None, trunk=None):
        cfg = copy.deepcopy(tiny_config)
        cfg.merge_from_dict(changes or {})
        model = MODELS.build(cfg.model)
        model.backbone.init_weights()
        if trunk:
            trunk(model.backbone)
        return digest(trunk_about(model, DATASETS.build(cfg.train_dataloader.dataset)))

    return of


def _one_weight(backbone):
    backbone.visual.conv1.weight.data[0, 0, 0, 0] += 1e-6


@pytest.mark.parametrize(
    'changes',
    [
        {'model.data_preprocessor.mean': [0, 0, 0]},
        {'model.data_preprocessor.std': [1, 1, 2]},
        {'model.data_preprocessor.to_rgb': False},
        {'model.backbone.precision': 'bfloat16'},
        {
            'train_dataloader.dataset.pipeline': [
                dict(type='LoadImageFromFile'),
                dict(type='PackInputs'),
            ]
        },
    ],
)
def test_changes_that_count(name, changes):
    assert name(changes) != name()


@pytest.mark.parametrize(
    'setting',
    [
        ('ResizeEdge', 'interpolation', 'bilinear'),
        ('ResizeEdge', 'scale', 33),
        ('CenterCrop', 'crop_size', 31),
        ('LoadPicture', 'backend_args', dict(backend='local')),
    ],
)
def test_settings_of_transforms_count(name, tiny_config, setting):
    before = name()
    type_, key, value = setting
    for transform in tiny_config.train_dataloader.dataset.pipeline:
        if transform['type'] == type_:
            transform[key] = value
    assert name() != before


def test_weights_count(name):
    assert name(trunk=_one_weight) != name()


@pytest.mark.parametrize(
    'changes',
    [
        {'model.head.alpha': 1.0},
        {'train_dataloader.batch_size': 3},
        {'randomness.seed': 5},
        {'model.backbone.trainable': 'none'},
    ],
)
def test_changes_that_do_not_count(name, changes):
    assert name(changes) == name()


def test_projection_does_not_count(name):
    assert name(trunk=lambda b: b.visual.proj.data.add_(1)) == name()


def test_path_size_and_time_of_a_file_count(tmp_path):
    path = tmp_path / 'a b.jpg'
    path.write_bytes(b'123')
    keys = {file_key(str(path))}
    os.utime(path, ns=(1, 1))
    keys.add(file_key(str(path)))
    path.write_bytes(b'1234')
    os.utime(path, ns=(1, 1))
    keys.add(file_key(str(path)))
    keys.add(file_key(str(path.rename(tmp_path / 'c.jpg'))))
    assert len(keys) == 4
