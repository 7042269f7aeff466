"""What to do when images fail: go on, wait, or stop."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from ..errors import InputError
from ..progress import duration
from .describers import REASONED, TOO_LARGE, UNAVAILABLE, Answer

ROW = 5  # failures of one kind, one after another, that are looked into; one without an answer is
LONGEST = 600.0  # seconds between two tries


class Failures:
    """Looks into failures that may not be the images', while nobody else asks.

    A plain grey image tells whether an image is at fault: if it is described, the run continues.
    If not, and the endpoint is out of reach though it answered before, it waits, from ``pause``
    seconds to ten minutes at a time and 1,800 times ``pause`` in all; else it stops.

    Args:
        probe: Asks about the grey image.
        pause: Seconds before the first try after an outage.
    """

    def __init__(self, probe: Callable[[], Awaitable[Answer]], pause: float) -> None:
        self._probe, self._pause = probe, pause
        self._row, self._fault = 0, ''
        self._answered = self._was_outage = False
        self._open = asyncio.Event()
        self._open.set()

    async def ready(self) -> None:
        """Wait while a failure is looked into."""
        await self._open.wait()

    def answered(self) -> None:
        """An image was described."""
        self._row, self._answered = 0, True

    async def was_outage(self, answer: Answer) -> bool:
        """Whether an image failed by an outage, now over: then it is to be asked about again.

        Raises:
            InputError: No image will be answered.
        """
        if not self._open.is_set():
            await self._open.wait()
            return self._was_outage
        self._row = self._row + 1 if answer.fault == self._fault else 1
        self._fault = answer.fault
        if self._row < ROW and answer.fault != UNAVAILABLE:
            return False
        self._open.clear()
        self._was_outage = False
        try:
            self._was_outage = await self._look_into(answer)
        finally:
            self._row = 0
            self._open.set()
        return self._was_outage

    async def _look_into(self, answer: Answer) -> bool:
        """Whether there was an outage; returns when it is over."""
        if answer.fault == TOO_LARGE:
            why = 'send smaller images: --max-pixels 200000, for example'
            raise InputError(_stopped(answer, why), code='describe.too_large')
        if answer.fault == REASONED:
            why = 'every such answer is paid for'
            raise InputError(_stopped(answer, why), code='describe.only_reasoning')
        waited, pause = 0.0, self._pause
        while (probe := await self._probe()).error:
            if probe.fault != UNAVAILABLE:
                why = 'a plain image fails alike, so the request is at fault'
                raise InputError(_stopped(probe, why), code='describe.rejected')
            if not self._answered or waited + pause > 1800 * self._pause:
                why = f'waited for {duration(waited)}' if waited else 'nothing was answered at all'
                raise InputError(_stopped(probe, why), code='describe.no_answers')
            said = f'no answers ({probe.error}); next try in {duration(pause)}'
            print(said, file=sys.stderr, flush=True)
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(2 * pause, LONGEST)
        return waited > 0


def _stopped(answer: Answer, why: str) -> str:
    return (
        f'images could not be described; the last error: {answer.error}; {why}. '
        'Replies are kept, and the same command continues'
    )
