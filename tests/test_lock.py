"""A second process in a folder is told who works there; a killed one leaves nothing locked."""

import os
import socket
import time

import pytest
from child_process import inside, kill

from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.io.lock import locked


@pytest.fixture
def holder(tmp_path):
    """A child process that holds a folder's lock until it is killed; gives its id."""
    child = inside(lambda: locked(tmp_path / 'run' / '.lock', ''))
    yield child
    kill(child)


def test_the_second_one_says_who_works_there(holder, tmp_path):
    with (
        pytest.raises(InputError) as error,
        locked(tmp_path / 'run' / '.lock', 'or take another --work-dir'),
    ):
        pass
    assert str(error.value).startswith(f'{tmp_path}/run is in use: process {holder} on ')
    assert socket.gethostname() in str(error.value)
    assert str(error.value).endswith('or take another --work-dir')


def test_a_lock_dies_with_its_process_and_is_not_inherited(holder, tmp_path):
    kill(holder)
    file = tmp_path / 'run' / '.lock'
    with locked(file, ''):
        worker = os.fork()  # as a data loader's, which outlives a killed parent
        if not worker:
            time.sleep(60)
            os._exit(0)
    assert not file.exists()
    try:
        with locked(file, ''):
            assert str(os.getpid()) in file.read_text()
    finally:
        kill(worker)


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, capfd):
    def none(*args):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr('fcntl.lockf', none)
    with locked(tmp_path / '.lock', ''):
        pass
    assert 'cannot be locked (No locks available)' in ''.join(capfd.readouterr())
