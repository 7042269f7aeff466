"""The run: every image asked about once, every reply on the disk before the next is awaited."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from PIL import Image

from ..cache import digest
from ..descriptions.store import DescriptionWriter, Record
from ..errors import InputError
from .describers import Answer, Describer
from .failures import Failures
from .loading import Loaded, Task, load_image
from .progress import Progress
from .tally import Budget, Tally
from .verdict import judge


@dataclass
class Run:
    """Describes images and keeps the replies.

    Args:
        describer: Who is asked.
        writer: Where replies are kept.
        progress: What is kept already.
        prompt: What is asked, as it is kept.
        expected: Descriptions asked for.
        retries: How often a short, refused, truncated or empty reply is asked for again.
        report: Called with the tally after each image.
        load: Reads an image; see :func:`load_image`.
        max_tokens: Stop before a run takes more, in and out.
        pause: Seconds before the first try after an outage; see :class:`Failures`.
    """

    describer: Describer
    writer: DescriptionWriter
    progress: Progress
    prompt: str
    expected: int = 10
    retries: int = 3
    report: Callable[[Tally], None] = lambda tally: None
    load: Callable[..., Loaded] = load_image
    max_tokens: int | None = None
    pause: float = 10.0

    def __post_init__(self) -> None:
        self.tally = Tally()
        self._budget = Budget(self.max_tokens, self.tally)
        self._settings = digest(self.describer.settings)
        self._tries = 1 if self.describer.deterministic else 1 + self.retries
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
        asyncio.run(self._all(iter(tasks)))
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
        return bool(self._stopped) or self.tally.spent

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
                else:
                    batch.append((task, found))
        return batch

    def _take(self, tasks: Iterator[Task], count: int) -> list[Task]:
        again = [self._again.popleft() for _ in range(min(count, len(self._again)))]
        return again + list(islice(tasks, count - len(again)))

    def read(self, task: Task) -> Loaded:
        """Read an image; prepared for the describer if it needs asking."""
        return self.load(task.path, self.describer.prepare, partial(self.tries_left, task))

    def tries_left(self, task: Task, sha256: str | None) -> int:
        """How often an image of this content may still be asked about."""
        return self.progress.tries_left(task.image, sha256, self._tries)

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
        self.tally.spent = self.tally.spent or not self._budget.allows(images)
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

    def record(self, task: Task, loaded: Loaded, answer: Answer) -> Record:
        """An answer's record, as it is kept."""
        record: Record = {
            'image': task.image,
            'prompt': self.prompt,
            'reply': answer.reply,
            'model': self.describer.model,
            'settings': self._settings,
            **({'sha256': loaded.sha256} if loaded.sha256 else {}),
        }
        if answer.error:
            return record | {'descriptions': [], 'status': 'error', 'error': answer.error}
        parsed = judge(answer.reply, answer.finish, self.expected)
        record |= {'descriptions': parsed.descriptions, 'status': parsed.status}
        return record | ({'finish': answer.finish} if answer.finish else {})

    async def _write(self, record: Record) -> None:
        """Return once the record is on the disk; those that wait share one sync."""
        self._waiting.append(record)
        async with self._disk:
            if self._waiting:
                records, self._waiting = self._waiting, []
                await asyncio.to_thread(self.writer.append, *records)
        self.progress.add(record)


def settings_of(describer: Describer) -> str:
    """Hash of how a describer asks, as it is kept with each reply."""
    return digest(describer.settings)


def check_shard(shard: str) -> tuple[int, int]:
    """Read ``i/n``; i counts from 1 (or from 0: only its remainder matters).

    Raises:
        InputError: It is no such pair.
    """
    first, slash, second = shard.partition('/')
    if not (slash and first.isdecimal() and second.isdecimal() and int(first) <= int(second) > 0):
        raise InputError(f'--shard {shard}: write i/n, such as 1/4 to 4/4')
    return int(first) % int(second), int(second)
