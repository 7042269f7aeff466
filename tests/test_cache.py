"""Files are written whole, and JSON of others is checked."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from child_process import inside, kill
from refused import refused

from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.io import files
from mmpretrain_lmmreg.io.files import (
    cache_dir,
    make_folder,
    read_sealed,
    remove_unfinished,
    save_atomic,
    sealed,
)
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


@pytest.mark.parametrize('make', [os.symlink, os.link])
def test_a_link_at_the_file_is_replaced_and_its_target_stays(tmp_path, make):
    (tmp_path / 'target').write_bytes(b'mine')
    make(tmp_path / 'target', tmp_path / 'file')
    make(tmp_path / 'target', tmp_path / '.file.part')
    write(tmp_path / 'file', b'x')
    assert (tmp_path / 'file').read_bytes() == b'x'
    assert (tmp_path / 'target').read_bytes() == b'mine'


@pytest.fixture
def warned(monkeypatch):
    """What is warned of, from now on; the cache is not made yet."""
    files._warn.cache_clear()
    said = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda text, *_, **__: said.append(text))
    return said


def test_new_folders_of_the_cache_are_for_their_owner_alone(tmp_path, monkeypatch, warned):
    monkeypatch.setenv('LMMREG_CACHE', str(tmp_path / 'a' / 'cache'))
    os.umask(umask := os.umask(0))
    assert not cache_dir('test').exists()
    VectorTable('test', {}).add(['a'], torch.ones(1, 2))
    VectorTable('test', {})
    folders = [path for path in (tmp_path / 'a').rglob('*') if path.is_dir()]
    assert [path.stat().st_mode & 0o777 for path in folders] == [0o700] * 3 and not warned
    assert (tmp_path / 'a').stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.parametrize('level', [0, 1, 2])
@pytest.mark.parametrize('change', ['mode', 'owner'])
def test_a_cache_that_others_may_write_is_named_once(tmp_path, monkeypatch, warned, level, change):
    monkeypatch.setenv('LMMREG_CACHE', str(tmp_path / 'cache'))
    folder = VectorTable('test', {}).folder
    shared = [tmp_path / 'cache', tmp_path / 'cache' / 'test', folder][level]
    if change == 'mode':
        shared.chmod(0o777)
    else:
        monkeypatch.setattr(os, 'geteuid', lambda: shared.stat().st_uid + 1)
    VectorTable('test', {})
    VectorTable('test', {})
    assert (
        len(warned) == (1 if change == 'mode' else 3) and str(shared) in warned[level % len(warned)]
    )


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').touch()
    with refused('io.folder_not_made', match=str(tmp_path / 'file')):
        make_folder(tmp_path / 'file' / 'folder')


def test_sealed_json_comes_back(tmp_path):
    content = {'é': [1, 0.1, None, 'a\udcff\ud83d'], 'path': tmp_path, 'loss': float('nan')}
    write(tmp_path / 'file', sealed(content))
    expected = {**content, 'path': str(tmp_path), 'loss': None}
    assert read_sealed(tmp_path / 'file', {'é': list, 'path': (str, int)}) == expected
    of_version_0_1 = b'{"seed": 1, "checksum": "0123456789abcdef"}'
    write(tmp_path / 'file', of_version_0_1)
    assert read_sealed(tmp_path / 'file') == {'seed': 1}


def test_each_flipped_bit_of_sealed_json_is_found(tmp_path):
    content = {'method': 'lmmreg', 'seed': 1, 'accuracy': [97.5]}
    whole = sealed(content)
    for at in range(8 * len(whole)):
        data = bytearray(whole)
        data[at // 8] ^= 1 << at % 8
        (tmp_path / 'file').write_bytes(data)
        try:
            found = read_sealed(tmp_path / 'file')
        except InputError as error:
            assert error.code == 'io.damaged_json' and str(tmp_path / 'file') in str(error)
        else:  # but for the name of the checksum's own field
            assert {name: found[name] for name in content} == content


@pytest.mark.parametrize(
    ('code', 'content'),
    [
        ('damaged_json', '[' * 100_000),
        ('damaged_json', '{"a":' * 100_000),
        ('damaged_json', '[]'),
        ('damaged_json', ''),
        ('damaged_json', '{"seed": NaN}'),
        ('damaged_json', '{"seed": -Infinity}'),
        ('damaged_json', '{"seed": 1e999}'),
        ('damaged_json', '{"seed": 1%s}' % ('0' * 9999)),
        ('wrong_field', '{}'),
        ('wrong_field', '{"seed": "1"}'),
        ('wrong_field', '{"seed": true}'),
        ('wrong_field', '{"seed": [1]}'),
        ('damaged_json', '{"seed": 1, "crc32": "00000000"}'),  # that of no bytes
        ('damaged_json', '{"seed": 1%s}' % ('0' * 400)),
    ],
)
def test_hostile_json_is_refused_by_file_and_field(tmp_path, code, content):
    (tmp_path / 'run.json').write_text(content)
    with refused(f'io.{code}', match='run.json.*' + ('"seed"' if code == 'wrong_field' else '')):
        read_sealed(tmp_path / 'run.json', {'seed': (int, float)})
    with refused('io.unreadable'):
        read_sealed(tmp_path / 'nothing')


def test_a_table_removes_unfinished_chunks():
    table = VectorTable('features', {})
    table.add(['a'], torch.ones(1, 2))
    (table.folder / '.000001-1-a.safetensors.part').write_bytes(b'cut')
    assert len(VectorTable('features', {})) == 1
    assert sorted(path.suffix for path in table.folder.iterdir()) == ['.json', '.safetensors']
