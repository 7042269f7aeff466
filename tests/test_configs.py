"""Every config loads, and its model and hooks can be built."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmpretrain.registry import HOOKS, LOOPS, MODELS

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
ALL = sorted(p.relative_to(CONFIGS) for p in CONFIGS.rglob('*.py') if '_base_' not in p.parts)


@pytest.mark.parametrize('path', ALL, ids=str)
def test_config(path, pictures, monkeypatch):
    monkeypatch.setenv('CUSTOM_ROOT', str(pictures))
    cfg = Config.fromfile(CONFIGS / path)
    command = (CONFIGS / path).read_text().split('python tools/train.py ')[1].split()[0]
    assert command == f'configs/{path.as_posix()}'
    assert cfg.method in ('lmmreg', path.stem.removesuffix(_data_set(path)))
    assert cfg.protocol and cfg.randomness.seed == 0
    for hook in cfg.default_hooks.values():
        assert HOOKS.get(hook.type), hook.type
    assert LOOPS.get(cfg.train_cfg.type)
    MODELS.build(cfg.model.head)
    assert cfg.val_dataloader.dataset == cfg.test_dataloader.dataset


def _data_set(path):
    for name in ('_bar_lite0', '_bar', '_era', '_ucf101', '_demo', '_custom'):
        if path.stem.endswith(name):
            return name
    raise AssertionError(f'{path} names no data set')
