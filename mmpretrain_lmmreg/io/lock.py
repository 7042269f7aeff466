"""A lock on a folder that dies with its process, and says who holds it."""

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.logging import print_log

from ..errors import InputError
from .files import is_at

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(file: Path, instead: str) -> Iterator[None]:
    """Hold a lock file while the body runs; it is removed afterwards.

    POSIX record locks, unlike flock's, are not inherited by workers, which may outlive a killed
    process for seconds. Where the file system knows no locks, a warning is logged.

    Args:
        file: The lock file. It says who holds it, as JSON.
        instead: Ends the message to the second process, as in 'or take another --out'.

    Raises:
        InputError: another process holds it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(file, instead)
    try:
        yield
    finally:
        if descriptor is not None:
            file.unlink(missing_ok=True)
            os.close(descriptor)


def _acquire(file: Path, instead: str) -> int | None:
    if fcntl is None:
        return None
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            holder = os.read(descriptor, 1000)
            os.close(descriptor)
            raise InputError(
                f'{file.parent} is in use: {_describe(holder)} works there. Wait for it, stop it, '
                f'{instead}'
            ) from None
        except OSError as error:
            os.close(descriptor)
            print_log(
                f'{file} cannot be locked ({error.strerror}): nothing keeps a second process out '
                f'of {file.parent}',
                'current',
                logging.WARNING,
            )
            return None
        if is_at(descriptor, file):  # the last holder may have removed it after it was opened
            break
        os.close(descriptor)
    about = dict(pid=os.getpid(), host=socket.gethostname(), since=time.strftime('%F %T'))
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(about).encode())
    return descriptor


def _describe(holder: bytes) -> str:
    try:
        about = json.loads(holder)
        return f'process {about["pid"]} on {about["host"]}, since {about["since"]},'
    except (ValueError, KeyError, TypeError):  # it has only just begun
        return 'another process'
