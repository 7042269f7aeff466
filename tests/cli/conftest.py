"""A person's own pictures with a small model and a config beside them."""

import shutil
import sys

import pytest
from smoke.tiny import write_model

from mmpretrain_lmmreg.cli import upstream
from mmpretrain_lmmreg.cli.run_tool import run_tool

CHILD = """\
_base_ = '{{$LMMREG_CONFIGS:configs}}/lmmreg_custom.py'
model = dict(
    backbone=dict(model_name='local-dir:{{ fileDirname }}/model', pretrained=None),
    head=dict(in_channels=16))
train_dataloader = dict(batch_size=8, num_workers=0)
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
train_cfg = dict(max_epochs=1)
"""


@pytest.fixture(scope='session')
def cache_of_all(tmp_path_factory):
    return str(tmp_path_factory.mktemp('cache'))


@pytest.fixture
def drawn_once(cache_of_all, monkeypatch):
    """The demo's pictures are drawn once for all tests that use this."""
    monkeypatch.setenv('LMMREG_CACHE', cache_of_all)


@pytest.fixture
def own(tmp_path, pictures, monkeypatch):
    """A copy of ``pictures`` that a test may spoil, with its config beside it."""
    for name in ('LMMREG_CONFIGS', 'CUSTOM_LIST', 'RANK', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '')  # so that it is restored, whatever sets it in between
        monkeypatch.delenv(name)
    monkeypatch.setenv('CUSTOM_ROOT', str(tmp_path / 'pictures'))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures, tmp_path / 'pictures')
    write_model(tmp_path / 'model')
    (tmp_path / 'own.py').write_text(CHILD)
    return tmp_path / 'pictures'


def train(monkeypatch, *options: str) -> None:
    monkeypatch.setattr(sys, 'argv', ['train.py', 'own.py', '--work-dir', 'run', *options])
    run_tool(upstream.train)
