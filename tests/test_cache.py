"""Files are written whole; a killed writer's leftovers go, a living one's file stays."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from child_process import inside, kill

from mmpretrain_lmmreg.io.files import remove_unfinished, save_atomic
from mmpretrain_lmmreg.io.table import VectorTable


@pytest.fixture
def writer(tmp_path):
    """A child process in the middle of writing ``file``; gives its id."""

    @contextmanager
    def half():
        with save_atomic(tmp_path / 'file') as file:
            file.write(b'half')
            file.flush()
            yield

    child = inside(half)
    yield child
    kill(child)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write(path: Path, content: bytes) -> None:
    with save_atomic(path) as file:
        file.write(content)


@pytest.mark.parametrize('again', [True, False])
def test_what_a_killed_writer_left_goes(tmp_path, writer, again):
    kill(writer)
    assert names(tmp_path) == {'.file.part'}
    write(tmp_path / 'file', b'x') if again else remove_unfinished(tmp_path)
    assert names(tmp_path) == ({'file'} if again else set())
    assert not again or (tmp_path / 'file').read_bytes() == b'x'


def test_a_living_writer_is_not_disturbed(tmp_path, writer):
    remove_unfinished(tmp_path)
    write(tmp_path / 'file', b'whole')
    assert names(tmp_path) == {'file', '.file.part'}
    assert (tmp_path / '.file.part').read_bytes() == b'half'
    assert (tmp_path / 'file').read_bytes() == b'whole'


def test_files_have_the_usual_mode_and_errors_leave_nothing(tmp_path, writer):
    os.umask(umask := os.umask(0))
    for name in ('file', 'other'):  # beside a living writer, and alone
        write(tmp_path / name, b'')
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask
    with pytest.raises(ZeroDivisionError), save_atomic(tmp_path / 'third'):
        raise ZeroDivisionError
    assert names(tmp_path) == {'file', 'other', '.file.part'}


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / '.file.part').symlink_to(tmp_path / 'target')
    write(tmp_path / 'file', b'x')
    assert (tmp_path / 'file').read_bytes() == b'x' and not (tmp_path / 'target').exists()


def test_a_table_removes_unfinished_chunks():
    table = VectorTable('features', {})
    table.add(['a'], torch.ones(1, 2))
    (table.folder / '.000001-1-a.safetensors.part').write_bytes(b'cut')
    assert len(VectorTable('features', {})) == 1
    assert sorted(path.suffix for path in table.folder.iterdir()) == ['.json', '.safetensors']
