"""Processes that die at a chosen write, sync, truncation or rename, with or without the cache."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

from mmpretrain_lmmreg.descriptions.store import DescriptionStore

CALLS = ('write', 'fsync', 'ftruncate', 'replace', 'chmod')
MODES = ('before', 'half', 'after', 'unsynced')
BLOCK = 64  # bytes of an unsynced write that reach the disk together, or not


class Crash:
    """Counts the file calls of this process and kills it at one of them.

    Args:
        at: Number of the call, from 1; 0 never.
        mode: Die before the call, after half of a write, after the call; or ``'unsynced'``: after
            it, and what was not synced is lost in part, by chance.
        path: The file whose unsynced writes are lost.
        seed: Of that chance.
    """

    def __init__(self, at: int, mode: str, path: Path, seed: int = 0) -> None:
        self.at, self.mode, self.path, self.count = at, mode, path, 0
        self.random = random.Random(seed)
        self.synced = path.stat().st_size if path.exists() else 0
        for name in CALLS:
            setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, call: Callable) -> Callable:
        def wrapped(*args):
            if name == 'write' and args[0] <= 2:  # not the standard streams
                return call(*args)
            self.count += 1
            due = self.count == self.at
            if due and self.mode == 'before':
                die()
            if due and self.mode == 'half' and name == 'write':
                call(args[0], args[1][: len(args[1]) // 2])
                die()
            result = call(*args)
            if due:
                self.lose_unsynced() if self.mode == 'unsynced' else None
                die()
            if name in ('fsync', 'ftruncate') and self.path.exists():
                self.synced = self.path.stat().st_size
            return result

        return wrapped

    def lose_unsynced(self) -> None:
        """Blocks behind the last sync stay, or become zeros; the file may end earlier."""
        if not self.path.exists():
            return
        data = bytearray(self.path.read_bytes())
        for start in range(self.synced, len(data), BLOCK):
            if self.random.random() < 0.5:
                end = min(start + BLOCK, len(data))
                data[start:end] = bytes(end - start)
        if self.random.random() < 0.5:
            del data[self.random.randint(self.synced, len(data)) :]
        self.path.write_bytes(data)


def die() -> None:
    """What power loss or the kernel's memory killer does to a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], None]) -> int:
    """Start ``work`` in a child process; gives its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def wait(child: int) -> int:
    """The child's exit code; -9 where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def count_calls(work: Callable[[], None], path: Path) -> int:
    """How many file calls an undisturbed run makes."""
    reader, writer = os.pipe()
    report = os.write

    def counted() -> None:
        crash = Crash(0, 'after', path)
        work()
        report(writer, str(crash.count).encode())

    assert wait(in_child(counted)) == 0
    os.close(writer)
    with os.fdopen(reader) as file:
        return int(file.read())


def content(path: Path) -> list[dict]:
    """All records, sorted by key."""
    return sorted(DescriptionStore(path), key=lambda r: (r['image'], r['prompt']))


def whole_lines(path: Path) -> bytes:
    """The file up to its last whole record; empty where there is none."""
    data = path.read_bytes() if path.exists() else b''
    data = data[: data.rfind(b'\n') + 1]
    return data[: data.rfind(b'\n', 0, data.index(b'\0')) + 1] if b'\0' in data else data


def enumerate_kills(work: Callable[[], None], path: Path, modes=MODES, seeds=(0,)) -> int:
    """Kill a run at each of its file calls, resume, compare with an undisturbed run.

    Args:
        work: Does the run into ``path``, resuming what is there.

    Returns:
        Number of kills.
    """
    path.unlink(missing_ok=True)
    assert wait(in_child(work)) == 0
    expected, lines = content(path), path.read_bytes().count(b'\n')
    path.unlink()
    calls, kills = count_calls(work, path), 0
    for mode in modes:
        for at in range(1, calls + 1):
            for seed in seeds if mode == 'unsynced' else (0,):
                path.unlink(missing_ok=True)

                def killed(at=at, mode=mode, seed=seed) -> None:
                    Crash(at, mode, path, seed)
                    work()

                died = wait(in_child(killed)) == -signal.SIGKILL
                before = whole_lines(path)
                died_again = wait(in_child(lambda seed=seed: _dies_soon(work, path, seed))) != 0
                assert wait(in_child(work)) == 0
                where = f'killed {mode} call {at} (seed {seed})'
                assert content(path) == expected, where
                assert path.read_bytes().startswith(before), where
                assert path.read_bytes().count(b'\n') == lines, where
                kills += died + died_again
    return kills


def _dies_soon(work: Callable[[], None], path: Path, seed: int) -> None:
    """The resumed run dies too, while it mends what the first one left."""
    Crash(1 + seed % 3, 'after', path)
    work()
