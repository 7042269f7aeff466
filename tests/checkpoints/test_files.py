"""Flipped bits and cut files are noticed; resuming takes the newest whole checkpoint."""

import errno
import os

import pytest
import torch

from mmpretrain_lmmreg.checkpoints.files import (
    LAST,
    check_whole,
    digest_file,
    newest_whole,
    write_last,
    write_whole,
)
from mmpretrain_lmmreg.errors import InputError


def state(step: int) -> dict:
    return dict(meta=dict(epoch=step), state_dict=dict(w=torch.full((64,), float(step))))


@pytest.fixture
def two(tmp_path):
    """A work folder with the checkpoints of epochs 1 and 2; gives their paths."""
    paths = [tmp_path / f'epoch_{step}.pth' for step in (1, 2)]
    for step, path in enumerate(paths, 1):
        write_whole(state(step), path)
        os.utime(path, ns=(step * 10**9, step * 10**9))
    write_last(tmp_path, str(paths[1]))
    return paths


def flip(path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize('with_digest', [True, False])
def test_each_flipped_bit_of_a_weight_is_noticed(two, with_digest):
    path = two[0]
    if not with_digest:
        digest_file(path).unlink()
    check_whole(path)
    start = path.read_bytes().index(torch.full((64,), 1.0).numpy().tobytes())
    for position in range(start, start + 256, 17):
        flip(path, position)
        with pytest.raises(InputError, match=f'{path} is damaged: '):
            check_whole(path)
        flip(path, position)
    check_whole(path)


def test_cut_anywhere(two):
    whole = two[0].read_bytes()
    for share in range(10):
        two[0].write_bytes(whole[: len(whole) * share // 10])
        with pytest.raises(InputError, match=f'{two[0]} is damaged: it has .* bytes of'):
            check_whole(two[0])
    digest_file(two[0]).unlink()
    for share in range(10):
        two[0].write_bytes(whole[: len(whole) * share // 10])
        with pytest.raises(InputError, match=f'{two[0]} is damaged: it is (cut|empty)'):
            check_whole(two[0])
    digest_file(two[1]).write_text('')
    with pytest.raises(InputError, match='its digest .* is damaged'):
        check_whole(two[1])


def test_the_newest_whole_one_is_taken_and_the_other_named(two, tmp_path, capfd):
    assert newest_whole(tmp_path) == str(two[1])
    flip(two[1], 900)
    assert newest_whole(tmp_path) == str(two[0])
    out = ''.join(capfd.readouterr())
    assert f'{two[1]} is damaged' in out and 'It is passed over' in out
    flip(two[0], 900)
    with pytest.raises(InputError, match='no checkpoint of .* is whole.*epoch_2.*epoch_1'):
        newest_whole(tmp_path)


def test_newer_than_last_checkpoint_says(two, tmp_path):
    write_last(tmp_path, str(two[0]))  # as killed before it was written for the second
    assert newest_whole(tmp_path) == str(two[1])
    os.utime(two[1], ns=(0, 0))  # left by an earlier, longer run
    assert newest_whole(tmp_path) == str(two[0])
    for content in ('', str(tmp_path / 'lost.pth')):
        (tmp_path / LAST).write_text(content)
        assert newest_whole(tmp_path) == str(two[0])
    (tmp_path / 'moved').mkdir()
    moved = two[1].rename(tmp_path / 'moved' / 'epoch_2.pth')
    write_last(tmp_path / 'moved', str(two[1]))  # its folder's path before
    assert newest_whole(tmp_path / 'moved') == str(moved)
    (tmp_path / LAST).unlink()
    assert newest_whole(tmp_path) == str(two[0])
    assert newest_whole(tmp_path / 'none') is None


def test_full_disk_is_one_message_and_leaves_nothing_half_written(two, tmp_path, monkeypatch):
    before = sorted(tmp_path.iterdir())

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(InputError, match=r'epoch_3\.pth cannot be written \(No space left'):
        write_whole(state(3), tmp_path / 'epoch_3.pth')
    assert sorted(tmp_path.iterdir()) == before
