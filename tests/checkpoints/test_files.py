"""Flipped bits and cut files are noticed; resuming takes the newest whole checkpoint."""

import errno
import os
from pathlib import Path

import pytest
import torch
from refused import refused

from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.io.checkpoints import LAST, check_whole, newest_whole
from mmpretrain_lmmreg.io.trusted import read_checkpoint
from mmpretrain_lmmreg.runner import LMMRegRunner


def state(step: int) -> dict:
    return dict(meta=dict(epoch=step), state_dict=dict(w=torch.full((64,), float(step))))


def weights(path) -> int:
    """Where the weights lie in a checkpoint."""
    return path.read_bytes().index(state(int(path.stem[-1]))['state_dict']['w'].numpy().tobytes())


@pytest.fixture
def two(tmp_path):
    """A work folder with the checkpoints of epochs 1 and 2; gives their paths."""
    paths = [tmp_path / f'epoch_{step}.pth' for step in (1, 2)]
    for step, path in enumerate(paths, 1):
        torch.save(state(step), path)
        os.utime(path, ns=(step * 10**9, step * 10**9))
    (tmp_path / LAST).write_text(str(paths[1]))
    return paths


def flip(path, position: int, bit: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= bit
    path.write_bytes(content)


def test_each_flipped_bit_is_noticed_or_changes_nothing(two):
    path, whole = two[0], two[0].read_bytes()
    noticed = 0
    for position in range(0, len(whole), 7):
        flip(path, position, 1 << position % 8)
        try:
            loaded = read_checkpoint(str(path))
        except InputError as error:
            assert error.code in ('runner.checkpoint_damaged', 'runner.checkpoint_unsafe')
            noticed += 1
        else:  # padding, a file's date
            assert loaded['meta'] == dict(epoch=1) and (loaded['state_dict']['w'] == 1).all()
        path.write_bytes(whole)
    assert noticed > len(whole) / 7 / 3
    start = whole.index(torch.full((64,), 1.0).numpy().tobytes())
    for position in range(start, start + 256):
        flip(path, position)
        with refused('runner.checkpoint_damaged', match=str(path)):
            check_whole(path)
        path.write_bytes(whole)


def test_cut_anywhere(two):
    whole = two[0].read_bytes()
    for share in range(10):
        two[0].write_bytes(whole[: len(whole) * share // 10])
        with refused('runner.checkpoint_damaged', match=str(two[0])):
            check_whole(two[0])


def test_the_newest_whole_one_is_taken_and_the_other_named(two, tmp_path, capfd):
    assert newest_whole(tmp_path) == str(two[1])
    flip(two[1], weights(two[1]))
    assert newest_whole(tmp_path) == str(two[0])
    out = ''.join(capfd.readouterr())
    assert f'{two[1]} is damaged' in out and 'It is passed over' in out
    two[1].write_bytes(bytes(two[1].stat().st_size))  # as a power cut may leave it
    assert newest_whole(tmp_path) == str(two[0])
    flip(two[0], weights(two[0]))
    with refused('runner.no_whole_checkpoint', match='epoch_2.*epoch_1'):
        newest_whole(tmp_path)


def test_newer_than_last_checkpoint_says(two, tmp_path):
    (tmp_path / LAST).write_text(str(two[0]))  # as killed before it was written for the second
    assert newest_whole(tmp_path) == str(two[1])
    os.utime(two[1], ns=(0, 0))  # left by an earlier, longer run
    assert newest_whole(tmp_path) == str(two[0])
    for content in ('', str(tmp_path / 'lost.pth')):
        (tmp_path / LAST).write_text(content)
        assert newest_whole(tmp_path) == str(two[0])
    (tmp_path / 'moved').mkdir()
    moved = two[1].rename(tmp_path / 'moved' / 'epoch_2.pth')
    (tmp_path / 'moved' / LAST).write_text(str(two[1]))  # its folder's path before
    assert newest_whole(tmp_path / 'moved') == str(moved)
    (tmp_path / LAST).unlink()
    assert newest_whole(tmp_path) == str(two[0])
    assert newest_whole(tmp_path / 'none') is None


def test_full_disk_is_one_message_and_leaves_nothing_half_written(tiny_config, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    runner = LMMRegRunner.from_cfg(tiny_config)
    runner.train()
    before = sorted(Path(runner.work_dir).iterdir())
    monkeypatch.setattr(os, 'fsync', full)
    with refused('runner.checkpoint_not_written', match=r'epoch_3\.pth .*No space left'):
        runner.save_checkpoint(runner.work_dir, 'epoch_3.pth')
    assert sorted(Path(runner.work_dir).iterdir()) == before
