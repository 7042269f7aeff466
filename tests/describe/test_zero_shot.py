"""The --clip line: class means of descriptions as a classifier, by a tiny CLIP on disk."""

import pytest
import torch
from describing import call
from mmengine.config import Config
from mmpretrain.registry import MODELS
from refused import refused

from mmpretrain_lmmreg.describe.check import check
from mmpretrain_lmmreg.describe.tasks import ConfigImages
from mmpretrain_lmmreg.describe.zero_shot_eval import image_embeddings, text_tower
from mmpretrain_lmmreg.descriptions import DescriptionWriter
from mmpretrain_lmmreg.features.extract import extract_features


class Listed(list):
    def __init__(self, tasks, classes):
        super().__init__(tasks)
        self.classes = classes


@pytest.fixture
def clip(tiny_clip):
    return f'local-dir:{tiny_clip},'


@pytest.fixture
def described(config, tasks, tmp_path):
    path = tmp_path / 'data' / 'descriptions.jsonl'
    with DescriptionWriter(path) as writer:
        for task in tasks:
            writer.append({'image': task.image, 'prompt': 'p', 'reply': f'1. Seen: {task.label}.'})
    return path


def test_command_prints_the_accuracy_on_the_test_split(config, described, clip, capsys):
    call(config, '--clip', clip)
    out = capsys.readouterr().out
    assert 'short         6 (0 broken off)' in out
    lines = out.splitlines()[-4:-1]
    for name, line in zip(('names', 'descriptions', 'both'), lines, strict=True):
        assert line.endswith(f') of 2 test images by {name}, without training')
        assert 0 <= float(line.split()[0]) <= 100
    call(config, '--check', '--clip', clip)
    assert '\n'.join(lines) in capsys.readouterr().out  # one way of finding them


def test_descriptions_of_the_images_that_are_tested_are_left_out(config, tmp_path, clip):
    path = tmp_path / 'data' / 'descriptions.jsonl'
    images = ConfigImages(cfg := Config.fromfile(config), 'all')
    with DescriptionWriter(path) as writer:
        for task in images:
            if task.label or task.image.startswith('test'):
                writer.append({'image': task.image, 'prompt': 'p', 'reply': f'1. {task.image}.'})
    assert 'no description of cat' in check(cfg, images, path, 'p', clip).without_training()


def test_class_without_descriptions_and_config_without_test_images(config, described, clip, capsys):
    images = ConfigImages(cfg := Config.fromfile(config), 'train')
    with refused('describe.no_descriptions'):
        check(cfg, images, described, 'another prompt', clip)
    dogs = Listed([task for task in images if task.label], images.classes)
    assert 'no description of cat' in check(cfg, dogs, described, 'p', clip).without_training()


def test_the_configs_own_model_embeds_through_the_feature_table(tiny_config, monkeypatch):
    tasks = list(ConfigImages(tiny_config, 'train'))[:5]
    first = image_embeddings(tiny_config, 'test', tasks)
    model = MODELS.build({**tiny_config.model, '_scope_': 'mmpretrain'})
    model.backbone.init_weights()
    torch.testing.assert_close(torch.from_numpy(extract_features(model, paths(tasks))), first)
    monkeypatch.setattr('mmpretrain_lmmreg.features.trunk.compute', None)  # nothing is made again
    assert torch.equal(image_embeddings(tiny_config, 'test', tasks), first)


def test_the_text_tower_is_stretched_as_in_training(tiny_config):
    tiny_config.default_hooks.class_means.text_context = 248
    assert text_tower(tiny_config, None).tokenizer(['a']).shape == (1, 248)


def paths(tasks) -> list[str]:
    return [task.path for task in tasks]
