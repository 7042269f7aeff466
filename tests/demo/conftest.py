"""The demo's data set, drawn once for all tests of this room."""

import pytest

from mmpretrain_lmmreg.demo import render


@pytest.fixture(scope='session')
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp('demo') / 'data'
    render.render_into(folder)
    return folder
