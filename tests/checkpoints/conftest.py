"""A person's own pictures and a small model, and a function that trains on them."""

import pytest
from cli import conftest as cli
from cli.conftest import own  # noqa: F401  a fixture


@pytest.fixture
def train(monkeypatch):
    """Function that trains ``own.py`` into ``run``, with options of train.py."""
    return lambda *options: cli.train(monkeypatch, *options)
