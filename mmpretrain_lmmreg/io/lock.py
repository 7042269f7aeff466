"""The lock that says who holds it and dies with its process; the only one of this package.

It is ``flock``'s. Forked workers inherit such a lock and may outlive a killed process for seconds,
so each fork closes its copy. The library ``filelock`` does not do that in the versions that run on
Python 3.10, and it empties a foreign file or the target of a link that has the lock's name.
"""

import fcntl
import json
import logging
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError

_held: set[int] = set()  # descriptors of lock files


def _close_held() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_held)


def try_lock(descriptor: int, wait: bool = False) -> bool:
    """Lock an open file until it is closed; False where another has locked it.

    Raises:
        OSError: The file system knows no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at ``path``, which may be removed or replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


@contextmanager
def locked(file: Path, instead: str | None) -> Iterator[None]:
    """Hold a lock file while the body runs; it is removed afterwards.

    Where the file system knows no locks, a warning is logged.

    Args:
        file: ``.lock`` for its folder, ``.NAME.lock`` for NAME in it. It says who holds it, as
            JSON.
        instead: Ends the message to the second process, as in 'or take another --out'. None: the
            second one waits.

    Raises:
        InputError: another process or thread holds it; its folder cannot be written; or a link or
            a file that is no lock has its name, and is left as it is.

    Example:
        >>> with locked(Path('run/.lock'), 'or take another --work-dir'):
        ...     print('alone')
        alone
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(file, instead)
    except OSError as error:
        raise InputError(
            f'{file} cannot be written ({error.strerror}): name another folder, or correct this '
            "one's owner and mode",
            code='io.lock_not_written',
        ) from error
    try:
        yield
    finally:
        if descriptor in _held:  # else this is a fork
            if is_at(descriptor, file):
                file.unlink()
            _close(descriptor)


def _acquire(file: Path, instead: str | None) -> int:
    while True:
        descriptor = _open(file)
        try:
            mine = try_lock(descriptor, wait=instead is None)
        except OSError as error:
            from mmengine.logging import print_log  # imports torch; this module is read without it

            print_log(
                f'{file} cannot be locked ({error.strerror}): nothing keeps a second process out '
                f'of {file.parent}',
                'current',
                logging.WARNING,
            )
            mine = True
        if not mine:
            holder = _read(descriptor)
            _close(descriptor)
            what = file.parent / file.name[1 : -len('.lock')]  # '.lock' is its folder's
            raise InputError(
                f'{what} is in use: {_describe(holder)} works there. Wait for it, stop it, '
                f'{instead}',
                code='io.in_use',
            )
        if is_at(descriptor, file):  # the last holder may have removed it after it was opened
            break
        _close(descriptor)
    about = dict(pid=os.getpid(), host=socket.gethostname(), since=time.strftime('%F %T'))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(about).encode(), 0)
    return descriptor


def _open(file: Path) -> int:
    """Open a lock file, or make it; anything else of its name is refused."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = -1
    if not file.is_symlink() and not file.is_dir():
        descriptor = os.open(file, flags, 0o666)
        _held.add(descriptor)
        state = os.fstat(descriptor)
        if stat.S_ISREG(state.st_mode) and state.st_nlink < 2 and _is_ours(_read(descriptor)):
            return descriptor
        _close(descriptor)
    raise InputError(
        f'{file} is not a lock of this package and is left as it is: it is a link, or has content '
        'of its own. Move it away',
        code='io.lock_is_foreign',
    )


def _close(descriptor: int) -> None:
    _held.discard(descriptor)
    os.close(descriptor)


def _read(descriptor: int) -> bytes:
    return os.pread(descriptor, 1000, 0)


def _is_ours(content: bytes) -> bool:
    """Whether a lock file holds what this module writes, or the beginning of it."""
    start = b'{"pid": '
    return content.startswith(start) or start.startswith(content)


def _describe(holder: bytes) -> str:
    try:
        about = json.loads(holder)
        return f'process {about["pid"]} on {about["host"]}, since {about["since"]},'
    except (ValueError, KeyError, TypeError, RecursionError):  # it has only just begun
        return 'another process'
