import copy

import pytest
import torch
from mmengine.runner import Runner

from mmpretrain_lmmreg.checks import missing_inputs
from mmpretrain_lmmreg.errors import InputError


def train(cfg):
    Runner.from_cfg(cfg).train()


def test_image_in_train_and_test(tiny_config):
    test = tiny_config.test_dataloader.dataset
    tiny_config.train_dataloader.dataset.data_prefix = 'test'
    with pytest.raises(
        InputError,
        match='12 samples are both in the train and in the val list, '
        "the first is '.*test/blue/0.png'",
    ):
        train(tiny_config)
    tiny_config.val_dataloader = tiny_config.val_cfg = tiny_config.val_evaluator = None
    assert test.data_prefix == 'test'
    with pytest.raises(InputError, match='both in the train and in the test list'):
        train(tiny_config)


@pytest.mark.parametrize(
    ('options', 'name'),
    [
        ({'default_hooks.checkpoint.save_best': 'auto'}, r"save_best=\['auto'\]"),
        (
            {'custom_hooks': [dict(type='EarlyStoppingHook', monitor='accuracy/top1')]},
            'EarlyStoppingHook',
        ),
    ],
)
def test_choosing_by_test_images(tiny_config, options, name):
    tiny_config.merge_from_dict(options)
    with pytest.raises(InputError, match=f'{name} would choose by test images'):
        train(tiny_config)


def test_choosing_by_a_validation_list_is_allowed(tiny_config):
    tiny_config.merge_from_dict({'default_hooks.checkpoint.save_best': 'auto'})
    images = tiny_config.train_dataloader.dataset
    tiny_config.val_dataloader.dataset = dict(
        copy.deepcopy(tiny_config.test_dataloader.dataset),
        data_prefix='train',
        indices=list(range(0, 24, 4)),
    )
    images.indices = [i for i in range(24) if i % 4]
    train(tiny_config)


def test_invalid_loss_names_the_files(tiny_config):
    tiny_config.optim_wrapper.optimizer.lr = float('inf')
    with pytest.raises(
        InputError,
        match=r'the loss is nan at epoch 1, iteration 2(.|\n)*/train/'
        r'(red|green|blue)/\d.png',
    ):
        train(tiny_config)


def test_nothing_is_missing(tiny_config):
    assert missing_inputs(tiny_config, training=True) == []


def test_everything_missing_is_listed_in_order(tiny_config, tmp_path):
    tiny_config.merge_from_dict({'model.backbone.pretrained': str(tmp_path / 'clip.safetensors')})
    for name in ('train', 'val', 'test'):
        dataset = tiny_config[f'{name}_dataloader'].dataset
        dataset.update(type='BAR', data_root=str(tmp_path / 'nowhere'))
        dataset.pop('data_prefix')
    for transform in tiny_config.train_dataloader.dataset.pipeline:
        transform.pop('data_root', None)
    weights, images, descriptions = missing_inputs(tiny_config, training=True)
    assert f"'{tmp_path}/clip.safetensors' is not there" in weights
    assert 'nowhere' in images and 'python tools/prepare_bar.py' in images
    assert f"'{tmp_path}/nowhere/descriptions.jsonl'" in descriptions
    assert 'python tools/describe.py' in descriptions
    assert missing_inputs(tiny_config, training=False) == [images]


def test_baseline_needs_no_descriptions(tiny_config, tmp_path):
    for transform in tiny_config.train_dataloader.dataset.pipeline:
        transform.pop('data_root', None)
        if transform['type'] == 'AttachDescriptions':
            transform['cache'] = str(tmp_path / 'none.jsonl')
    assert len(missing_inputs(tiny_config, training=True)) == 1
    tiny_config.model.head.alpha = 0
    assert missing_inputs(tiny_config, training=True) == []


@pytest.mark.parametrize('head', ['LaBoHead', 'CLIPASelfHead', 'ImageTextHead'])
def test_methods_that_need_descriptions(tiny_config, tmp_path, head):
    root = dict(data_root=str(tmp_path), cache=None)
    attach = dict(type='AttachDescriptions', missing='skip', **root)
    for part in ('train', 'val', 'test'):
        tiny_config[f'{part}_dataloader'].dataset.pipeline = [attach]
    tiny_config.model.head = dict(type=head)
    (line,) = missing_inputs(tiny_config, training=True)
    assert f"'{tmp_path}/descriptions.jsonl' are not there" in line
    assert ('CONFIG --split all --describer' in line) == (head == 'ImageTextHead')
    if head != 'ImageTextHead':
        tiny_config.model.head.sentences = 'sentences.json'
        assert missing_inputs(tiny_config, training=True) == []


def test_missing_model_folder(tiny_config, tmp_path):
    tiny_config.model.backbone.model_name = f'local-dir:{tmp_path}/lite0'
    (line,) = missing_inputs(tiny_config, training=True)
    assert 'lite0' in line and 'build_lite0_minilm.py' in line
    assert torch.is_grad_enabled()
