"""Classifiers of two kinds of towers, saved as training saves them."""

from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmpretrain_lmmreg.clip.text_tower import TextTower

CLASSES = ('a blue one', 'green', 'a [red] one')  # of the folders blue, green and red


class Run(NamedTuple):
    config: str
    checkpoint: str


def save_run(cfg: Config, folder: Path, means: bool = True, meta: dict | None = None) -> Run:
    """Write a config and a checkpoint with a random head, and class means if wanted."""
    from mmpretrain.apis import get_model

    folder.mkdir(exist_ok=True)
    cfg.dump(folder / 'config.py')
    torch.manual_seed(1)
    model = get_model(cfg)
    model.backbone.init_weights()
    if isinstance(model.head.fc, torch.nn.Linear):
        torch.nn.init.normal_(model.head.fc.weight, std=0.2)
        torch.nn.init.normal_(model.head.fc.bias)
    if means:
        model.head.set_class_means(torch.randn(3, 24))
    meta = dict(dataset_meta=dict(classes=CLASSES)) if meta is None else meta
    torch.save(dict(meta=meta, state_dict=model.state_dict()), folder / 'epoch_2.pth')
    return Run(str(folder / 'config.py'), str(folder / 'epoch_2.pth'))


@pytest.fixture(autouse=True)
def own_log(monkeypatch):
    """The commands quieten the log, which is the whole process's."""
    monkeypatch.setattr(MMLogger, '_instance_dict', OrderedDict())


@pytest.fixture
def saved(tiny_config, tmp_path) -> Run:
    """The tiny ViT with class means."""
    return save_run(tiny_config, tmp_path / 'run')


@pytest.fixture(params=['vit', 'batch_norm'])
def either(request, tiny_config, batch_norm_clip, tmp_path) -> Run:
    """The tiny ViT, and the timm tower full of BatchNorm."""
    if request.param == 'batch_norm':
        tiny_config.model.backbone.model_name = f'local-dir:{batch_norm_clip}'
    return save_run(tiny_config, tmp_path / 'run')


@pytest.fixture
def tower(tiny_clip) -> TextTower:
    return TextTower(f'local-dir:{tiny_clip}')
