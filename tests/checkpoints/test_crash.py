"""Killed at every write, sync and rename of saving, a run still has a whole checkpoint."""

import builtins
import io
import os
import shutil
import signal
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.logging import MessageHub

from mmpretrain_lmmreg.hooks.checkpoint import AtomicCheckpointHook
from mmpretrain_lmmreg.io.checkpoints import LAST, newest_whole
from mmpretrain_lmmreg.io.files import save_atomic
from mmpretrain_lmmreg.io.trusted import read_checkpoint

CALLS = 12  # one more than a resumed run that saves a checkpoint makes
BEST_CALLS = 22  # the same of one that replaces the best one, too
MODES = ('before', 'half', 'after', 'unsynced')


class Disk:
    """Counts this process's calls that change files, and kills it at one of them.

    Args:
        at: Number of the call, from 1; 0 never.
        mode: Die before the call, after half of a write, after the call; or ``'unsynced'``: after
            it, and files that were not synced lose what they hold.
    """

    def __init__(self, at: int, mode: str, patch) -> None:
        self.at, self.mode, self.count, self.unsynced = at, mode, 0, {}
        self.real = dict(fsync=os.fsync, fdopen=os.fdopen, unlink=os.unlink, replace=os.replace)
        self.open = open
        patch.setattr(os, 'fdopen', lambda *args: Writer(self, self.real['fdopen'](*args)))
        patch.setattr(builtins, 'open', self.opened)
        patch.setattr(os, 'fsync', self.fsync)
        for name in ('unlink', 'replace'):
            patch.setattr(os, name, self.counted(self.real[name]))

    def opened(self, path, mode='r', *args, **kwargs):
        file = self.open(path, mode, *args, **kwargs)
        return Writer(self, file) if 'w' in mode else file

    def counted(self, call):
        def wrapped(*args, **kwargs):
            self.step('before')
            try:
                return call(*args, **kwargs)
            finally:
                self.step('after')

        return wrapped

    def step(self, when: str) -> None:
        if when == 'before':
            self.count += 1
        if self.count == self.at and when == self.mode.replace('unsynced', 'after'):
            self.die()

    def fsync(self, descriptor: int) -> None:
        self.step('before')
        self.real['fsync'](descriptor)
        self.unsynced.pop(os.fstat(descriptor).st_ino, None)
        self.step('after')

    def die(self) -> None:
        if self.mode == 'unsynced':
            for descriptor in self.unsynced.values():
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)


class Writer:
    """A file whose writes the disk counts."""

    def __init__(self, disk: Disk, file) -> None:
        self.disk, self.file, self.name = disk, file, file.name
        disk.unsynced[os.fstat(file.fileno()).st_ino] = os.dup(file.fileno())

    def write(self, content) -> None:
        self.disk.step('before')
        if self.disk.count == self.disk.at and self.disk.mode == 'half':
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            self.disk.die()
        self.file.write(content)
        self.file.flush()
        self.disk.step('after')

    def flush(self) -> None:
        self.file.flush()

    def fileno(self) -> int:
        return self.file.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *args) -> None:
        self.file.close()


def state(step: int) -> dict:
    return dict(meta=dict(epoch=step), state_dict=dict(w=torch.full((500,), float(step))))


def saving_hook(folder, keep: int, accuracies: dict[int, float] | None = None):
    """The hook in a run of ``folder``, and functions that save an epoch by it and validate it."""
    hub = MessageHub('test_crash')

    def save_checkpoint(out, filename, *args, meta, **kwargs):
        content = dict(state(meta['epoch']), message_hub=hub.state_dict())
        with save_atomic(Path(out, filename)) as file, io.BytesIO() as buffer:
            torch.save(content, buffer)
            LocalBackend().put(buffer.getvalue(), file.name)

    runner = SimpleNamespace(
        work_dir=str(folder),
        epoch=0,
        iter=0,
        message_hub=hub,
        logger=SimpleNamespace(info=lambda text: None),
        save_checkpoint=save_checkpoint,
    )
    best = dict(save_best='accuracy/top1', rule='greater') if accuracies else {}
    hook = AtomicCheckpointHook(interval=1, max_keep_ckpts=keep, **best)

    def save(step):
        runner.epoch = step
        hook._save_checkpoint_with_step(runner, step, {'epoch': step})

    def validate(step):
        if accuracies and step:
            hook._save_best_checkpoint(runner, {'accuracy/top1': accuracies[step]})

    return runner, hook, save, validate


def run(folder, keep: int, last: int, accuracies: dict[int, float] | None = None) -> None:
    """Train to an epoch, as --resume does: from the newest whole checkpoint."""
    runner, hook, save, validate = saving_hook(folder, keep, accuracies)
    newest, done = newest_whole(folder), 0
    if newest:
        loaded = read_checkpoint(newest)
        done = loaded['meta']['epoch']
        runner.message_hub.load_state_dict(loaded['message_hub'])
    runner.epoch = done
    hook.before_train(runner)
    validate(done)
    for step in range(done + 1, last + 1):
        save(step)
        validate(step)


def killed(start: Path, folder: Path, at: int, mode: str, *how) -> bool:
    """Go on from a copy of ``start`` in a child that may be killed at a call; whether it was."""
    shutil.copytree(start, folder)
    for step in range(1, 4):  # copying keeps the order of the times
        if (folder / f'epoch_{step}.pth').exists():
            os.utime(folder / f'epoch_{step}.pth', ns=(step, step))
    child = os.fork()
    if not child:
        try:
            with pytest.MonkeyPatch.context() as patch:
                Disk(at, mode, patch)
                run(folder, *how)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize('keep', [1, 2])
@pytest.mark.parametrize('mode', MODES)
def test_killed_at_every_call_and_resumed(tmp_path, keep, mode):
    start = tmp_path / 'start'
    start.mkdir()
    run(start, keep, 3)
    expected = {f'epoch_{step}.pth' for step in range(5 - keep + 1, 6)} | {LAST}
    kills = 0
    for at in range(1, CALLS + 1):
        folder = tmp_path / f'{mode}{at}'
        kills += killed(start, folder, at, mode, keep, 4)
        newest = newest_whole(folder)
        assert newest, f'{mode} {at}: nothing to resume from'
        step = read_checkpoint(newest)['meta']['epoch']
        assert step == (4 if (folder / 'epoch_4.pth').exists() else 3), f'{mode} {at}'
        run(folder, keep, 5)
        assert {path.name for path in folder.iterdir()} == expected, f'{mode} {at}'
        shutil.rmtree(folder)
    assert kills == 3 if mode == 'half' else kills == CALLS - 1


@pytest.mark.parametrize('mode', MODES)
def test_killed_while_the_best_one_is_replaced(tmp_path, mode):
    """There is a best one at every moment, and in the end the best one alone."""
    accuracies = {1: 0.1, 2: 0.5, 3: 0.3, 4: 0.7, 5: 0.6}
    start = tmp_path / 'start'
    start.mkdir()
    run(start, 2, 3, accuracies)
    mine = {'best_accuracy_top1_epoch_1.pth.bak', 'best_accuracy_top1_epoch_2-old.pth'}
    assert [path.name for path in start.glob('best_*.pth')] == ['best_accuracy_top1_epoch_2.pth']
    for name in mine:
        (start / name).write_bytes(b'')
    kills = 0
    for at in range(1, BEST_CALLS + 1):
        folder = tmp_path / f'{mode}{at}'
        kills += killed(start, folder, at, mode, 2, 4, accuracies)
        found = [path for path in folder.glob('best_*.pth') if path.name not in mine]
        whole = [read_checkpoint(path)['meta']['epoch'] for path in found]
        assert set(whole) & {2, 4}, f'{mode} {at}'
        run(folder, 2, 5, accuracies)
        best = {path.name for path in folder.glob('best_*')}
        assert best == mine | {'best_accuracy_top1_epoch_4.pth'}, f'{mode} {at}'
        shutil.rmtree(folder)
    assert kills == (6 if mode == 'half' else BEST_CALLS - 1)
