"""The run: every image asked about once, every reply on the disk before the next is awaited."""

import asyncio
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ..cache import digest
from ..datasets.pictures import check_regular, read_rgb
from ..descriptions.parse import STATUSES, parse_reply
from ..descriptions.store import DescriptionWriter, Record
from ..errors import InputError
from .describers import Answer, Describer
from .progress import Progress


@dataclass(frozen=True, slots=True)
class Task:
    """An image to be described: its key, its file, its class and group where they are known."""

    image: str
    path: str
    label: int | None = None
    group: str | None = None  # of images that are not independent, such as a video's


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is read of an image file; ``error`` says why ``content`` is missing."""

    sha256: str | None = None
    content: object = None
    error: str = ''


def load_image(
    path: str, prepare: Callable[[Image.Image], object], wanted: Callable[[str | None], bool]
) -> Loaded:
    """Read and hash an image; if it is wanted, also decode (upright, RGB) and prepare it."""
    try:
        check_regular(path)
        data = Path(path).read_bytes()
    except ValueError as error:
        return Loaded(error=f'cannot read the image: {error}')
    except OSError as error:
        return Loaded(error=f'cannot read the image: {error.strerror or error}')
    sha256 = hashlib.sha256(data).hexdigest()
    if not wanted(sha256):
        return Loaded(sha256)
    try:
        return Loaded(sha256, prepare(read_rgb(io.BytesIO(data))))
    except UnidentifiedImageError:  # its own message is an address in memory
        return Loaded(sha256, error='cannot decode the image: its format is unknown to pillow')
    except Exception as error:  # decoders raise whatever a broken file provokes
        return Loaded(sha256, error=f'cannot decode the image: {error}')


@dataclass
class Tally:
    """What a run did: images by the best status of their replies, and what that took."""

    statuses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    kept: int = 0  # images that needed no asking
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def asked(self) -> int:
        """Images that were asked about."""
        return sum(self.statuses.values())


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
    """

    describer: Describer
    writer: DescriptionWriter
    progress: Progress
    prompt: str
    expected: int = 10
    retries: int = 3
    report: Callable[[Tally], None] = lambda tally: None
    load: Callable[..., Loaded] = load_image

    def __post_init__(self) -> None:
        self.tally = Tally()
        self._settings = digest(self.describer.settings)
        self._tries = 1 if self.describer.deterministic else 1 + self.retries
        self._stopped: Exception | None = None
        self._waiting: list[Record] = []

    def __call__(self, tasks: Iterable[Task]) -> Tally:
        """Describe all images that need it.

        Raises:
            InputError: As :meth:`Describer.ask`; what was answered until then is kept.
        """
        asyncio.run(self._all(iter(tasks)))
        return self.tally

    async def _all(self, tasks: Iterator[Task]) -> None:
        """Workers beyond the concurrency load the next images and write while others ask."""
        self._slots = asyncio.Semaphore(self.describer.concurrency)
        self._disk = asyncio.Lock()
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
            while not self._stopped and (batch := await self._next_batch(tasks)):
                await self._describe(batch)
        except Exception as error:
            self._stopped = self._stopped or error
            raise

    async def _next_batch(self, tasks: Iterator[Task]) -> list[tuple[Task, Loaded]]:
        """The next images that need asking, read; broken ones are put on record here."""
        batch: list[tuple[Task, Loaded]] = []
        while chunk := list(islice(tasks, self.describer.batch_size - len(batch))):
            loaded = await asyncio.gather(*(asyncio.to_thread(self._load, t) for t in chunk))
            for task, found in zip(chunk, loaded, strict=True):
                if not self._tries_left(task, found.sha256):
                    self.tally.kept += 1
                    self.report(self.tally)
                elif found.error:
                    await self._fail(task, found, found.error)
                else:
                    batch.append((task, found))
        return batch

    def _load(self, task: Task) -> Loaded:
        return self.load(task.path, self.describer.prepare, partial(self._tries_left, task))

    def _tries_left(self, task: Task, sha256: str | None) -> int:
        return self.progress.tries_left(task.image, sha256, self._tries)

    async def _describe(self, batch: list[tuple[Task, Loaded]]) -> None:
        """Ask about a batch, and again about those whose reply is not good."""
        while batch:
            async with self._slots:
                if self._stopped:
                    return
                answers = await self.describer.ask([loaded.content for _, loaded in batch])
            again = []
            for (task, loaded), answer in zip(batch, answers, strict=True):
                self.tally.tokens_in += answer.tokens_in
                self.tally.tokens_out += answer.tokens_out
                if answer.error:
                    await self._fail(task, loaded, answer.error)
                    continue
                await self._keep(task, loaded, answer)
                if self._tries_left(task, loaded.sha256):
                    again.append((task, loaded))
                else:
                    self._count(self.progress.best(task.image, loaded.sha256))
            batch = again

    async def _keep(self, task: Task, loaded: Loaded, answer: Answer) -> None:
        parsed = parse_reply(answer.reply, self.expected)
        record = self._record(task, loaded, answer.reply)
        await self._write({**record, 'descriptions': parsed.descriptions, 'status': parsed.status})

    async def _fail(self, task: Task, loaded: Loaded, error: str) -> None:
        """Put an error on record, unless one is there for this image already."""
        if not self.progress.failed(task.image, loaded.sha256):
            record = self._record(task, loaded, '')
            await self._write({**record, 'descriptions': [], 'status': 'error', 'error': error})
        self._count('error')

    def _count(self, status: str) -> None:
        self.tally.statuses[status] += 1
        self.report(self.tally)

    def _record(self, task: Task, loaded: Loaded, reply: str) -> Record:
        return {
            'image': task.image,
            'prompt': self.prompt,
            'reply': reply,
            'model': self.describer.model,
            'settings': self._settings,
            **({'sha256': loaded.sha256} if loaded.sha256 else {}),
        }

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
