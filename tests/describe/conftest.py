"""Images and a config over them."""

import os
from pathlib import Path

import pytest
from describing import CONFIG, make_images
from loopback import KEY, Loopback


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
    """Point the environment at a loopback server."""
    for name in [n for n in os.environ if n.startswith('OPENAI_')]:
        monkeypatch.delenv(name)

    def use(server):
        monkeypatch.setenv('OPENAI_BASE_URL', server.url)
        monkeypatch.setenv('OPENAI_API_KEY', KEY)

    return use


@pytest.fixture
def server(endpoint):
    """A loopback server that the environment points at; what it does is its ``behave``."""
    with Loopback() as server:
        endpoint(server)
        yield server
