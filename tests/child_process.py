"""A child process that is in the middle of something until it is killed."""

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress


def inside(context: Callable[[], AbstractContextManager]) -> int:
    """Start a child process that stays in a ``with`` block; gives its id once it is there."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with context():
            os.write(writer, b'x')
            signal.pause()
        os._exit(0)
    os.read(reader, 1)
    return child


def kill(child: int) -> None:
    """Kill a child process and wait for its end, unless that was done before."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
