"""How far long work is: a live bar on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

Item = TypeVar('Item')
FIRST, LONGEST = 10.0, 60.0  # seconds between lines: they grow from the first to the last


class Progress:
    """A context in which ``advance`` is called as work gets done.

    On a terminal a bar with the time left, gone when done, on stderr; elsewhere a line after ten
    seconds and then ever more rarely, at least one a minute.

    Args:
        what: The work, such as ``'trunk features'``.
        total: Pieces of it.
        log: Where lines go; stderr by default.
    """

    def __init__(self, what: str, total: int, log: Callable[[str], None] | None = None) -> None:
        # rich's own console remembers for good whether stdout was a terminal when it was made,
        # which may have been while an import had it redirected
        console = Console(stderr=True)
        self.what, self.total, self.done = what, total, 0
        self._log = log or (lambda line: print(line, file=sys.stderr, flush=True))
        self._live = console.is_terminal
        self._bar = Bar(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn('{task.fields[note]}'),
            console=console,
            transient=True,
            disable=not self._live,
        )
        self._task = self._bar.add_task(what, total=total, note='')

    def __enter__(self) -> 'Progress':
        self._start = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._pause, self._next = FIRST, self._start + FIRST
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def seconds(self) -> float:
        """Since the work began."""
        return time.monotonic() - self._start

    def advance(self, pieces: int = 1, note: str = '', what: str | None = None) -> None:
        """Count pieces that are done; ``note`` stands behind the bar, ``what`` before it."""
        self.done += pieces
        self.what = what or self.what
        self._bar.update(self._task, advance=pieces, note=note, description=self.what)
        now = time.monotonic()
        first = self._first = self._first or (now, self.done)
        if not self._live and now >= self._next and self.done < self.total:
            self._pause = min(2 * self._pause, LONGEST)
            self._next = now + self._pause
            left = ''
            if self.done > first[1]:  # the first pieces took what all need, too
                rate = (now - first[0]) / (self.done - first[1])
                left = f', about {duration(rate * (self.total - self.done))} left'
            tail = f' ({note})' if note else ''
            self._log(f'{self.what}: {self.done:,} of {self.total:,}{left}{tail}')


def duration(seconds: float) -> str:
    """'40 s', '12 min' or '3.5 h'."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'


def track(
    items: Iterable[Item], what: str, total: int, log: Callable[[str], None] | None = None
) -> Iterator[Item]:
    """Yield items while showing how many of ``total`` are done; see :class:`Progress`."""
    with Progress(what, total, log) as progress:
        for item in items:
            yield item
            progress.advance()
