"""Images and a config over them."""

import os
from pathlib import Path

import pytest
from describing import CONFIG, make_images


@pytest.fixture
def tasks(tmp_path):
    return make_images(tmp_path / 'data')


@pytest.fixture
def config(tmp_path, tasks) -> Path:
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.format(root=str(tmp_path / 'data')))
    return path


@pytest.fixture
def default(tmp_path) -> Path:
    """Where the command puts descriptions of the config's images."""
    return tmp_path / 'data' / 'descriptions.jsonl'


@pytest.fixture
def out(tmp_path) -> Path:
    """A descriptions file of a run."""
    return tmp_path / 'descriptions.jsonl'


@pytest.fixture
def many(tmp_path):
    """Twelve training images of each class."""
    return make_images(tmp_path / 'data', train=24)


@pytest.fixture
def endpoint(monkeypatch):
    """Point the environment at a loopback server; gives the key."""
    for name in [n for n in os.environ if n.startswith('OPENAI_')]:
        monkeypatch.delenv(name)

    def use(server, key='sk-secret-7731'):
        monkeypatch.setenv('OPENAI_BASE_URL', server.url)
        monkeypatch.setenv('OPENAI_API_KEY', key)
        return key

    return use
