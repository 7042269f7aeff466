"""The run: every image asked about once, every reply on the disk before the next is awaited."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import filterfalse, islice

from PIL import Image

from ..descriptions.store import Record
from ..errors import InputError
from .describers import Answer
from .failures import Failures
from .kept import Kept
from .loading import Loaded, Task
from .tally import Budget, Limit, Tally


@dataclass
class Run(Kept):
    """Describes images and keeps the replies; arguments beside those of :class:`Kept`:

    Args:
        limits: Stop before a run takes more.
        earlier: What runs before this one took of them.
        pause: Seconds before the first try after an outage; see :class:`Failures`.
    """

    limits: Sequence[Limit] = ()
    earlier: Tally | None = None
    pause: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._budget = Budget(self.limits, self.tally, self.earlier or Tally())
        self._stopped: Exception | None = None
        self._waiting: list[Record] = []
        self._failed: list[Task] = []  # since the last answer, perhaps through no fault of theirs
        self._again: deque[Task] = deque()  # of those, the ones that an outage had failed

    def __call__(self, tasks: Iterable[Task]) -> Tally:
        """Describe all images that need it.

        Raises:
            InputError: As :meth:`Describer.ask` and :class:`Failures`; what was answered until
                then is kept.
        """
        try:
            asyncio.run(self._all(iter(tasks)))
            self.share()
        finally:
            self.hashes.save()
        return self.tally

    async def _all(self, tasks: Iterator[Task]) -> None:
        """Workers beyond the concurrency load the next images and write while others ask."""
        self._slots = asyncio.Semaphore(self.describer.concurrency)
        self._disk = asyncio.Lock()
        self._failures = Failures(self._probe, self.pause)
        workers = [
            asyncio.create_task(self._work(tasks)) for _ in range(2 * self.describer.concurrency)
        ]
        try:
            _, pending = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            if pending:  # replies on their way have been paid for
                await asyncio.wait(pending, timeout=10)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await self.describer.close()
        if self._stopped:
            raise self._stopped

    async def _work(self, tasks: Iterator[Task]) -> None:
        try:
            while not self._over and (batch := await self._next_batch(tasks)):
                await self._describe(batch)
        except Exception as error:
            self._stopped = self._stopped or error
            raise

    @property
    def _over(self) -> bool:
        return bool(self._stopped or self.tally.spent)

    async def _next_batch(self, tasks: Iterator[Task]) -> list[tuple[Task, Loaded]]:
        """The next images that need asking, read; broken ones are put on record here."""
        batch: list[tuple[Task, Loaded]] = []
        while chunk := self._take(tasks, self.describer.batch_size - len(batch)):
            loaded = await asyncio.gather(*(asyncio.to_thread(self.read, t) for t in chunk))
            for task, found in zip(chunk, loaded, strict=True):
                if not self.tries_left(task, found.sha256):
                    self.tally.kept += 1
                    self.report(self.tally)
                elif found.error:
                    await self._fail(task, found, found.error)
                elif not self.waits(task, found.sha256):
                    batch.append((task, found))
        return batch

    def _take(self, tasks: Iterator[Task], count: int) -> list[Task]:
        again = [self._again.popleft() for _ in range(min(count, len(self._again)))]
        return again + list(islice(filterfalse(self._skip, tasks), count - len(again)))

    def _skip(self, task: Task) -> bool:
        if skipped := self.done(task):
            self.tally.kept += 1
            self.report(self.tally)
        return skipped

    async def _describe(self, batch: list[tuple[Task, Loaded]]) -> None:
        """Ask about a batch, and again about those whose reply is not good."""
        while batch and not self._over:
            async with self._slots:
                await self._failures.ready()
                if self._over or not self._allowed(len(batch)):
                    return
                answers = await self._ask([loaded.content for _, loaded in batch])
            again = []
            for (task, loaded), answer in zip(batch, answers, strict=True):
                if answer.error:
                    if await self._after_failure(task, loaded, answer):
                        again.append((task, loaded))
                    continue
                self.tally.add(answer)
                self._failed.clear()
                self._failures.answered()
                await self._keep(task, loaded, answer)
                if self.tries_left(task, loaded.sha256):
                    again.append((task, loaded))
                else:
                    self._count(self.progress.best(task.image, loaded.sha256))
            batch = again

    def _allowed(self, images: int) -> bool:
        self.tally.spent = self.tally.spent or self._budget.exceeded(images)
        return not self.tally.spent

    async def _ask(self, contents: list[object]) -> list[Answer]:
        start = time.monotonic()
        self._budget.pending += len(contents)
        try:
            return await self.describer.ask(contents)
        finally:
            self._budget.pending -= len(contents)
            self.tally.busy += time.monotonic() - start

    async def _probe(self) -> Answer:
        """What comes of a picture that no model and no server can mind."""
        grey = Image.new('RGB', (224, 224), (128, 128, 128))
        (answer,) = await self.describer.ask([self.describer.prepare(grey)])
        return answer

    async def _after_failure(self, task: Task, loaded: Loaded, answer: Answer) -> bool:
        """Whether to ask about the image again; else its error is on record."""
        if answer.fault and await self._failures.failed(answer):
            self._again.extend(self._failed)
            self.tally.statuses['error'] -= len(self._failed)
            self._failed.clear()
            return True
        if answer.fault:
            self._failed.append(task)
        await self._fail(task, loaded, answer.error)
        return False

    async def _keep(self, task: Task, loaded: Loaded, answer: Answer) -> None:
        """Put a reply on record."""
        await self._write(self.record(task, loaded, answer))

    async def _fail(self, task: Task, loaded: Loaded, error: str) -> None:
        """Put an error on record, unless one is there for this image already."""
        self.tally.last_error = f'{task.image}: {error}'
        if not self.progress.failed(task.image, loaded.sha256):
            await self._write(self.record(task, loaded, Answer(error=error)))
        self._count('error')

    def _count(self, status: str) -> None:
        self.tally.statuses[status] += 1
        self.report(self.tally)

    async def _write(self, record: Record) -> None:
        """Return once the record is on the disk; those that wait share one sync."""
        self._waiting.append(record)
        async with self._disk:
            if self._waiting:
                records, self._waiting = self._waiting, []
                await asyncio.to_thread(self.writer.append, *records)
        self.progress.add(record)


def check_shard(shard: str) -> tuple[int, int]:
    """Read ``i/n``; i counts from 1 (or from 0: only its remainder matters).

    Raises:
        InputError: It is no such pair.
    """
    first, slash, second = shard.partition('/')
    if not (slash and first.isdecimal() and second.isdecimal() and int(first) <= int(second) > 0):
        raise InputError(f'--shard {shard}: write i/n, such as 1/4 to 4/4')
    return int(first) % int(second), int(second)
