"""A second process in a folder is told who works there; a killed one leaves nothing locked."""

import os
import signal
import socket
from contextlib import contextmanager
from threading import Timer

import pytest
from child_process import inside, kill
from mmengine.config import Config
from refused import refused

from mmpretrain_lmmreg.cli.runner import CommandRunner
from mmpretrain_lmmreg.io.lock import locked


@pytest.fixture
def holder(tmp_path):
    """A child process that holds a folder's lock until it is killed; gives its id."""
    child = inside(lambda: locked(tmp_path / 'run' / '.lock', ''))
    yield child
    kill(child)


def test_the_second_one_says_who_works_there(holder, tmp_path):
    words = f'{tmp_path}/run is in use: process {holder} on {socket.gethostname()}, .*--work-dir$'
    with refused('io.in_use', match=words), locked(tmp_path / 'run/.lock', 'or take --work-dir'):
        pass


def test_a_killed_holder_whose_worker_lives_frees_the_lock(tmp_path):
    file, (reader, writer) = tmp_path / '.lock', os.pipe()

    @contextmanager
    def with_a_worker():  # as a data loader's, which outlives its killed parent
        with locked(file, ''):
            worker = os.fork()
            if not worker:
                os.write(writer, str(os.getpid()).encode())
                signal.pause()
            yield

    holder = inside(with_a_worker)
    worker = int(os.read(reader, 99))
    with refused('io.in_use'), locked(file, ''):
        pass
    kill(holder)
    try:
        with locked(file, ''):
            assert str(os.getpid()) in file.read_text()
            with refused('io.in_use'), locked(file, ''):  # one process may not hold it twice
                pass
        assert not file.exists()
        os.kill(worker, 0)
    finally:
        os.kill(worker, signal.SIGKILL)


def test_one_that_waits_goes_on_when_the_holder_ends(holder, tmp_path):
    file = tmp_path / 'run' / '.lock'
    reader, writer = os.pipe()

    @contextmanager
    def waiting():
        os.write(writer, b'x')
        with locked(file, instead=None):
            yield

    Timer(0.1, lambda: (os.read(reader, 1), kill(holder))).start()
    kill(inside(waiting))


@pytest.mark.parametrize('kind', ['link', 'hard link', 'content', 'folder', 'pipe', 'lost link'])
def test_what_is_no_lock_is_left_as_it_is(tmp_path, kind):
    file, target = tmp_path / '.lock', tmp_path / 'target'
    target.write_bytes(b'' if kind == 'hard link' else b'mine')
    if 'link' in kind:
        make = os.link if kind == 'hard link' else os.symlink
        make(tmp_path / 'nowhere' if kind == 'lost link' else target, file)
    else:
        {'content': lambda: file.write_text('mine'), 'folder': file.mkdir}.get(
            kind, lambda: os.mkfifo(file)
        )()
    before = target.read_bytes(), os.lstat(file)
    with refused('io.lock_is_foreign', match=str(file)), locked(file, ''):
        pass
    assert (target.read_bytes(), os.lstat(file)) == before
    assert not (tmp_path / 'nowhere').exists()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').touch()
    with refused('io.lock_not_written'), locked(tmp_path / 'file' / '.lock', ''):
        pass


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, capfd):
    def none(*args):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr('fcntl.flock', none)
    with locked(tmp_path / '.lock', ''):
        pass
    assert 'cannot be locked (No locks available)' in ''.join(capfd.readouterr())


@pytest.mark.parametrize('make', [os.symlink, os.link])
def test_a_kept_config_replaces_a_link_and_its_target_stays(tmp_path, make):
    target, kept = tmp_path / 'own.py', tmp_path / 'run' / 'config.py'
    target.write_text('mine = 1')
    kept.parent.mkdir()
    make(target, kept)
    (tmp_path / 'config.py').write_text('a = 1')
    runner = CommandRunner.__new__(CommandRunner)
    runner.cfg, runner.dumped = Config.fromfile(tmp_path / 'config.py'), False
    runner._work_dir, runner._hooks = str(kept.parent), []
    runner.call_hook('before_train_epoch')
    assert Config.fromfile(kept).a == 1 and target.read_text() == 'mine = 1'
