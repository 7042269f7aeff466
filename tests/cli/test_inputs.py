import pytest
from refused import refused

from mmpretrain_lmmreg.cli.inputs import check_inputs, missing_inputs
from mmpretrain_lmmreg.descriptions import AttachDescriptions
from mmpretrain_lmmreg.errors import MissingInputError
from mmpretrain_lmmreg.heads import ClassMeanRegHead


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
    assert f"'{tmp_path}/clip.safetensors' does not exist" in weights
    assert 'nowhere' in images and 'mmpretrain-lmmreg prepare bar' in images
    assert f"'{tmp_path}/nowhere/descriptions.jsonl'" in descriptions
    assert 'mmpretrain-lmmreg describe' in descriptions
    assert missing_inputs(tiny_config, training=False) == [images]
    words = '(?s)3 inputs are missing; make them in this order:\n  1. the weights.*  2. .*  3. '
    with refused('config.inputs_missing', MissingInputError, match=words):
        check_inputs(tiny_config, training=True)


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
    assert f"'{tmp_path}/descriptions.jsonl' are missing" in line
    assert ('CONFIG --split all --describer' in line) == (head == 'ImageTextHead')
    if head != 'ImageTextHead':
        tiny_config.model.head.sentences = 'sentences.json'
        assert missing_inputs(tiny_config, training=True) == []


def test_missing_model_folder(tiny_config, tmp_path):
    tiny_config.model.backbone.model_name = f'local-dir:{tmp_path}/lite0'
    (line,) = missing_inputs(tiny_config, training=True)
    assert "model_name='lite0-minilm'" in line


def test_components_may_be_classes_as_in_lazy_configs(tiny_config, tmp_path):
    for transform in tiny_config.train_dataloader.dataset.pipeline:
        if transform['type'] == 'AttachDescriptions':
            transform.update(type=AttachDescriptions, cache=str(tmp_path / 'none.jsonl'))
    tiny_config.model.head.type = ClassMeanRegHead
    (line,) = missing_inputs(tiny_config, training=True)
    assert 'none.jsonl' in line
    tiny_config.model.head.type = 'LinearClsHead'
    tiny_config.model.head.pop('alpha', None)
    assert missing_inputs(tiny_config, training=True) == []
