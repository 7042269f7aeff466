import errno
import json
import multiprocessing
import os
from itertools import count

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refused import refused
from safetensors.torch import save

from mmpretrain_lmmreg.io import table as table_module
from mmpretrain_lmmreg.io.files import digest_tensors
from mmpretrain_lmmreg.io.table import VectorTable

ABOUT = dict(weights='a', transforms=['x'])
NUMBERS = count()


def rows(*values):
    return torch.tensor(values, dtype=torch.float32)[:, None].expand(-1, 3).contiguous()


def test_rows_survive_and_keep_their_order():
    table = VectorTable('test', ABOUT)
    table.add(['a', 'b'], rows(1, 2))
    table.add(['c'], rows(3))
    again = VectorTable('test', ABOUT)
    assert len(again) == 3
    assert again.missing(['c', 'd', 'a', 'd']) == ['d']
    assert torch.equal(again.stored(['c', 'a', 'c']).in_memory(), rows(3, 1, 3))


def test_anything_else_is_another_table():
    VectorTable('test', ABOUT).add(['a'], rows(1))
    assert len(VectorTable('test', dict(ABOUT, weights='b'))) == 0
    assert json.loads((VectorTable('test', ABOUT).folder / 'about.json').read_text()) == ABOUT


def test_unknown_key():
    with pytest.raises(KeyError):
        VectorTable('test', ABOUT).stored(['a']).in_memory()


def test_rows_of_others_are_taken_up():
    mine, theirs = VectorTable('test', ABOUT), VectorTable('test', ABOUT)
    theirs.add(['a'], rows(1))
    assert mine.missing(['a']) == ['a']
    mine.refresh()
    assert torch.equal(mine.stored(['a']).in_memory(), rows(1))


@pytest.fixture
def log(monkeypatch):
    """Lines that the table logs."""
    lines = []
    monkeypatch.setattr(table_module, 'print_log', lambda text, *_, **__: lines.append(text))
    return lines


def damage(path, offset, mask=1):
    content = bytearray(path.read_bytes())
    content[offset] ^= mask
    path.write_bytes(content)


def test_each_flipped_bit_of_a_chunk_is_found_named_and_its_rows_made_again(log):
    VectorTable('test', ABOUT).add(['a', 'b'], rows(1, 2))
    table = VectorTable('test', ABOUT)
    chunk = next(table.folder.glob('*.safetensors'))
    whole = chunk.read_bytes()
    for offset in range(len(whole)):
        damage(chunk, offset, 1 << offset % 8)
        table = VectorTable('test', ABOUT)
        lost = table.missing(['a', 'b'])
        if lost:  # else the bit was of the padding of the header
            assert lost == ['a', 'b'] and str(chunk) in log.pop() and not chunk.exists()
            table.add(lost, rows(1, 2))
            next(table.folder.glob('*.safetensors')).unlink()
        else:
            assert whole[offset : offset + 1] == b' '
        table = VectorTable('test', ABOUT)
        chunk.write_bytes(whole)
        table.refresh()
        assert torch.equal(table.stored(['b', 'a']).in_memory(), rows(2, 1))


def test_cut_and_foreign_chunks_are_named_and_their_rows_made_again(log):
    VectorTable('test', ABOUT).add(['a'], rows(1))
    table = VectorTable('test', ABOUT)
    chunk = next(table.folder.glob('*.safetensors'))
    whole = chunk.read_bytes()
    unsummed = save({'rows': rows(1)}, {'keys': '["a"]'})
    for content in (b'', whole[:5], whole[:-1], whole[: len(whole) // 2], b'\xff' * 99, unsummed):
        chunk.write_bytes(content)
        assert VectorTable('test', ABOUT).missing(['a']) == ['a']
        assert str(chunk) in log.pop() and not chunk.exists()


@pytest.mark.parametrize('when', ['opened', 'asked'])
@pytest.mark.parametrize('number', [errno.EACCES, errno.EMFILE, errno.EIO, errno.ESTALE, None])
def test_a_chunk_that_cannot_be_read_is_named_and_left(log, monkeypatch, number, when):
    VectorTable('test', ABOUT).add(['a'], rows(1))
    table = VectorTable('test', ABOUT)
    chunk = next(table.folder.glob('*.safetensors'))
    whole = chunk.read_bytes()

    def fails(*_, **__):
        raise MemoryError if number is None else OSError(number, os.strerror(number))

    name = 'file_checksum' if when == 'asked' else '_read_header'
    with monkeypatch.context() as patch:
        patch.setattr(table_module, name, fails)
        table = table if when == 'asked' else VectorTable('test', ABOUT)
        assert table.missing(['a']) == ['a']
    assert chunk.read_bytes() == whole and f'{chunk} cannot be read' in log.pop()
    assert VectorTable('test', ABOUT).missing(['a']) == []


def test_files_of_others_are_left(log, tmp_path):
    VectorTable('test', ABOUT).add(['a'], rows(1))
    chunk = next(VectorTable('test', ABOUT).folder.glob('*.safetensors'))
    cut = chunk.read_bytes()[:-1]
    elsewhere = tmp_path / 'linked'
    chunk.parent.rename(elsewhere)
    chunk.parent.symlink_to(elsewhere)
    foreign = [elsewhere / name for name in ('model.safetensors', '000001-weights.safetensors')]
    foreign.append(elsewhere / f'000009-1-{"0" * 32}.safetensors')
    target = tmp_path / 'target'
    for file in [*foreign[:2], target]:
        file.write_bytes(cut)
    foreign[2].symlink_to(target)
    assert VectorTable('test', ABOUT).missing(['a']) == [] and not log
    assert all(file.exists() for file in [*foreign, target])


def test_a_chunk_is_checked_when_its_rows_are_first_asked_for(log, monkeypatch):
    table = VectorTable('test', ABOUT)
    table.add(['a'], rows(1))
    table.add(['b'], rows(2))
    first = min(table.folder.glob('*.safetensors'))
    damage(first, -1)
    table, read = VectorTable('test', ABOUT), []
    original = table_module.file_checksum
    monkeypatch.setattr(table_module, 'file_checksum', lambda *a: read.append(a) or original(*a))
    table.stored(['b']).in_memory()
    table.stored(['b']).in_memory()
    assert len(read) == 1 and not log
    with pytest.raises(KeyError):
        table.stored(['a']).in_memory()
    assert str(first) in log.pop()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_stored_rows_are_read_by_index(dtype):
    table = VectorTable('test', ABOUT)
    table.add(['a', 'b'], rows(1, 2).to(dtype))
    table.add(['c'], rows(3).to(dtype))
    stored = table.stored(['c', 'a', 'b'])
    assert len(stored) == 3
    assert stored.nbytes == 3 * 3 * dtype.itemsize
    assert torch.equal(stored[[2, 0, 0]], rows(2, 3, 3).to(dtype))
    assert torch.equal(stored[torch.tensor([1])], rows(1).to(dtype))
    assert [len(part) for part in stored.split(2)] == [2, 1]
    assert torch.equal(torch.cat(list(stored.split(2))), rows(3, 1, 2).to(dtype))


def test_rows_that_vanish_while_in_use_are_noticed():
    table = VectorTable('test', ABOUT)
    table.add(['a', 'b'], rows(1, 2))
    stored = table.stored(['b'])
    chunk = next(table.folder.glob('*.safetensors'))
    chunk.write_bytes(chunk.read_bytes()[:-4])
    with refused('io.chunk_was_cut', match=chunk.name):
        stored[[0]]


def _add(start):
    table = VectorTable('test', ABOUT)
    for i in range(start, start + 10):
        table.add([str(i)], rows(i))


def test_two_writers():
    with multiprocessing.get_context('fork').Pool(2) as pool:
        pool.map(_add, [0, 10])
    table = VectorTable('test', ABOUT)
    assert torch.equal(table.stored([str(i) for i in range(20)]).in_memory(), rows(*range(20)))


@pytest.mark.parametrize(
    'other', [torch.zeros(2, 2), torch.zeros(4, dtype=torch.int32), torch.zeros(4) + 1e-45]
)
def test_name_of_weights_tells_shape_type_and_bytes(other):
    names = {digest_tensors({'w': tensor}) for tensor in (torch.zeros(4), other)}
    assert len(names) == 2
    assert digest_tensors({'v': other}) not in names


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(st.text(max_size=3), max_size=5), max_size=6), st.randoms())
def test_a_table_holds_the_last_row_of_any_key(log, tmp_path, additions, random):
    about = dict(ABOUT, number=next(NUMBERS))  # each example a table of its own
    expected, number = {}, 0
    for keys in filter(None, additions):
        unique = list(dict.fromkeys(keys))
        values = [float(number + i) for i in range(len(unique))]
        VectorTable('test', about).add(unique, rows(*values))
        expected.update(zip(unique, values, strict=True))
        number += len(unique)
    table = VectorTable('test', about)
    asked = [random.choice([*expected, 'none of them']) for _ in range(9)]
    assert table.missing(asked) == ['none of them'] * ('none of them' in asked)
    found = [key for key in asked if key in expected]
    if found:
        assert torch.equal(table.stored(found).in_memory(), rows(*(expected[key] for key in found)))
    assert set(table) == set(expected) and not log
