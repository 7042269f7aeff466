"""The run: every image asked about once, every reply on the disk before the next is awaited."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from ..descriptions.lines import Record
from ..descriptions.parse import STATUSES, parse_reply
from ..descriptions.samples import CLASS, names_class
from ..descriptions.store import DescriptionWriter
from ..errors import InputError
from ..features.keys import stat_signature
from ..io.files import cache_dir, digest
from .describers import Answer, Describer, in_new_loop
from .failures import Failures
from .plan import DescribePlan
from .state import Answered, Contents, Tally
from .tasks import Loaded, Task, load_image


@contextmanager
def opened(
    plan: DescribePlan, out: Path, *, describer: Describer | None = None, **options: Any
) -> Iterator['DescribeRun']:
    """A :class:`DescribeRun` whose replies go to ``out``, which is locked until the end.

    Raises:
        InputError: The describer cannot be built; another process writes the file; it is no
            descriptions file; it holds another model's replies, which are not to be replaced.
    """
    describer = describer or plan.build()
    with DescriptionWriter(out) as writer:
        run = DescribeRun(plan, describer, writer, **options)
        try:
            yield run
        finally:
            run.contents.save()


def contents_of(out: Path) -> Contents:
    """What an earlier run into the same file read of the image files."""
    return Contents(cache_dir('images') / f'{digest(os.path.abspath(out))}.hashes')


class DescribeRun:
    """Describes images and keeps the replies.

    Images with the same content share the replies about one of them, unless the prompt names
    their class.

    Args:
        plan: What is asked, and the limits.
        describer: Who is asked.
        writer: Where replies are kept.
        classes: Names of the classes, for a prompt that names an image's class.
        tally: Goes on where other runs of the command have ended.
        contents: Of files, as far as they are known without reading them.
        load: Reads an image; see :func:`load_image`.
        report: Called with the tally after each image.
        pause: Seconds before the first try after an outage; see :class:`Failures`.
    """

    def __init__(
        self,
        plan: DescribePlan,
        describer: Describer,
        writer: DescriptionWriter,
        *,
        classes: Sequence[str] = (),
        tally: Tally | None = None,
        contents: Contents | None = None,
        load: Callable[..., Loaded] = load_image,
        report: Callable[[Tally], None] = lambda tally: None,
        pause: float = 2.0,
    ) -> None:
        self.plan, self.describer, self.writer = plan, describer, writer
        self.tally = tally or Tally()
        names = list(classes) if names_class(plan.prompt) else []
        self._prompts = [plan.prompt.replace(CLASS, name) for name in names]
        self.settings = digest({**describer.settings, **({'classes': names} if names else {})})
        tries = 1 if describer.deterministic else 1 + plan.retries
        asked = plan.prompt, describer.model, self.settings
        self.answered = Answered(*asked, writer.path, tries, shares=not names)
        if (others := +self.answered.others) and not plan.replace:
            raise InputError(
                f'{writer.path} holds replies to this prompt of another model '
                f'({", ".join(f"{count} of {name}" for name, count in others.most_common())}): '
                f'--replace asks {describer.model} about the same images, and its replies count '
                'where they are as good; or give it a file of its own (--out)',
                code='describe.other_model',
            )
        self.contents = contents if contents is not None else Contents()
        self.report, self._load, self._pause = report, load, pause
        self._stopped: Exception | None = None
        self._records: list[Record] = []  # that wait for the disk

    def __call__(self, tasks: Iterable[Task]) -> Tally:
        """Describe all images that need it.

        Raises:
            InputError: As :meth:`Describer.ask` and :class:`Failures`; what was answered until
                then is kept.
        """
        in_new_loop(self._all(iter(tasks)))
        self.share()
        return self.tally

    def prompt_for(self, task: Task) -> str:
        """What is asked about an image; raises InputError where it has no class to name."""
        if not self._prompts:
            return self.plan.prompt
        if task.label is None:
            raise InputError(
                f'{task.image} has no label, so --prompt cannot name its class',
                code='describe.class_in_prompt',
            )
        return self._prompts[task.label]

    def done(self, task: Task) -> bool:
        """Whether an image is known to need no asking, without reading it."""
        content = self.contents[task.path]
        return content is not None and not self.answered.tries_left(task.image, content)

    def read(self, task: Task, decode: bool = True) -> Loaded:
        """Read an image; prepared for the describer if it needs asking and is to be decoded."""
        state = stat_signature(task.path)
        wanted = partial(self.answered.tries_left, task.image) if decode else lambda _: 0
        loaded = self._load(task.path, self.describer.prepare, wanted)
        if loaded.sha256:
            self.contents.add(task.path, state, loaded.sha256)
        return loaded

    def share(self) -> None:
        """Put the replies about an image on record for all others of its content."""
        self.writer.extend(self.answered.shared(self.writer.path, self.tally))
        self.report(self.tally)

    def record(self, task: Task, loaded: Loaded, answer: Answer) -> Record | None:
        """An answer's record; None for an error where one is there for this image already."""
        record: Record = {
            'image': task.image,
            'prompt': self.plan.prompt,
            'reply': answer.reply,
            'model': self.describer.model,
            'settings': self.settings,
            **({'sha256': loaded.sha256} if loaded.sha256 else {}),
        }
        if answer.error:
            self.tally.last_error = f'{task.image}: {answer.error}'
            record |= {'descriptions': [], 'status': 'error', 'error': answer.error}
            return None if self.answered.known(task.image, loaded.sha256).failed else record
        parsed = parse_reply(answer.reply, self.plan.count, answer.finish)
        record |= {'descriptions': parsed.descriptions, 'status': parsed.status}
        return record | ({'finish': answer.finish} if answer.finish else {})

    async def _all(self, tasks: Iterator[Task]) -> None:
        """Workers beyond the concurrency load the next images and write while others ask."""
        self._slots = asyncio.Semaphore(self.describer.concurrency)
        self._disk = asyncio.Lock()
        self._failures = Failures(self._probe, self._pause)
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
        unknown = (task for task in tasks if not (self.done(task) and self._keep()))
        while chunk := list(islice(unknown, self.describer.batch_size - len(batch))):
            reading = (asyncio.to_thread(self.read, task) for task in chunk)
            for task, found in zip(chunk, await asyncio.gather(*reading), strict=True):
                if not self.answered.tries_left(task.image, found.sha256):
                    self._keep()
                elif found.error:
                    await self._fail(task, found, Answer(error=found.error))
                elif not self.answered.waits(task, found.sha256):
                    batch.append((task, found))
        return batch

    def _keep(self) -> bool:
        self.tally.kept += 1
        self.report(self.tally)
        return True

    async def _describe(self, batch: list[tuple[Task, Loaded]]) -> None:
        """Ask about a batch, and again about those whose reply is not good."""
        while batch and not self._over:
            async with self._slots:
                await self._failures.ready()
                if not self.tally.spent:
                    self.tally.spent = self.tally.exceeded(self.plan.limits, len(batch))
                if self._over:
                    return
                answers = await self._ask(batch)
            again = []
            for (task, loaded), answer in zip(batch, answers, strict=True):
                self.tally.add(answer)
                if answer.error:
                    outage = answer.fault and await self._failures.was_outage(answer)
                    if outage or self._stopped:  # then no image is to blame
                        again.append((task, loaded))
                    else:
                        await self._fail(task, loaded, answer)
                    continue
                self._failures.answered()
                await self._write(self.record(task, loaded, answer))
                if self.answered.tries_left(task.image, loaded.sha256):
                    again.append((task, loaded))
                else:
                    self._count(STATUSES[self.answered.known(task.image, loaded.sha256).rank])
            batch = again

    async def _ask(self, batch: list[tuple[Task, Loaded]]) -> list[Answer]:
        start = time.monotonic()
        self.tally.pending += len(batch)
        try:
            return await self.describer.ask(
                [loaded.content for _, loaded in batch], [self.prompt_for(t) for t, _ in batch]
            )
        finally:
            self.tally.pending -= len(batch)
            self.tally.busy += time.monotonic() - start

    async def _probe(self) -> Answer:
        """What comes of an image that no model and no server can mind."""
        grey = self.describer.prepare(Image.new('RGB', (224, 224), (128, 128, 128)))
        (answer,) = await self.describer.ask([grey], [(self._prompts or [self.plan.prompt])[0]])
        return answer

    async def _fail(self, task: Task, loaded: Loaded, answer: Answer) -> None:
        await self._write(self.record(task, loaded, answer))
        self._count('error')

    def _count(self, status: str) -> None:
        self.tally.statuses[status] += 1
        self.report(self.tally)

    async def _write(self, record: Record | None) -> None:
        """Return once the record is on the disk; those that wait share one sync."""
        if record is None:
            return
        self._records.append(record)
        async with self._disk:
            if self._records:
                records, self._records = self._records, []
                await asyncio.to_thread(self.writer.append, *records)
        self.answered.add(record)
