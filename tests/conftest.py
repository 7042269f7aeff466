"""Fixtures that several rooms' tests use."""
from pathlib import Path

import pytest

import mmpretrain_lmmreg  # noqa: F401  repairs torchvision before anything imports it


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder ``shared`` beside the checkout: real images and replies, not part of the project."""
    folder = Path(__file__).resolve().parents[2] / 'shared'
    if not folder.is_dir():
        pytest.skip(f'the real data are not at {folder}')
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Tests never read or write the user's caches."""
    monkeypatch.setenv('LMMREG_CACHE', str(tmp_path / 'cache'))
