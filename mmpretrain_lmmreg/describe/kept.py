"""What a run knows of each image, and how replies are put on record."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ..descriptions.lines import Record
from ..descriptions.samples import names_class
from ..descriptions.store import DescriptionWriter
from ..features.keys import stat_signature
from ..io.files import digest
from .describers import Answer, Describer
from .hashes import Hashes
from .loading import Loaded, Task, load_image
from .merge import append_many
from .progress import Progress
from .tally import Tally
from .twins import Twins
from .verdict import judge


@dataclass
class Kept:
    """Images that need asking or not, and the records of replies about them.

    Images with the same content share the replies about one of them, unless the prompt names
    their class.

    Args:
        describer: Who is asked.
        writer: Where replies are kept.
        progress: What is kept already.
        prompt: What is asked, as it is kept.
        expected: Descriptions asked for.
        retries: How often a short, refused, truncated or empty reply is asked for again.
        report: Called with the tally after each image.
        load: Reads an image; see :func:`load_image`.
        hashes: Contents that are known without reading a file.
    """

    describer: Describer
    writer: DescriptionWriter
    progress: Progress
    prompt: str
    expected: int = 10
    retries: int = 3
    report: Callable[[Tally], None] = lambda tally: None
    load: Callable[..., Loaded] = load_image
    hashes: Hashes = field(default_factory=Hashes)

    def __post_init__(self) -> None:
        self.tally = Tally()
        self._twins = Twins(self.progress, self.tally)
        self._settings = settings_of(self.describer)
        self._tries = 1 if self.describer.deterministic else 1 + self.retries

    def done(self, task: Task) -> bool:
        """Whether an image is known to need no asking, without reading it."""
        content = self.hashes[task.path]
        return content is not None and not self.tries_left(task, content)

    def read(self, task: Task, decode: bool = True) -> Loaded:
        """Read an image; prepared for the describer if it needs asking and is to be decoded."""
        state = stat_signature(task.path)
        wanted = partial(self.tries_left, task) if decode else lambda _: 0
        loaded = self.load(task.path, self.describer.prepare, wanted)
        if loaded.sha256:
            self.hashes.add(task.path, state, loaded.sha256)
        return loaded

    def waits(self, task: Task, sha256: str | None) -> bool:
        """Whether an image gets the replies about another one of its content, by :meth:`share`."""
        return not names_class(self.prompt) and self._twins.hold(task, sha256)

    def share(self) -> None:
        """Put the replies about an image on record for all others of its content."""
        append_many(self.writer, self._twins.records(self.writer.path))
        self.report(self.tally)

    def tries_left(self, task: Task, sha256: str | None) -> int:
        """How often an image of this content may still be asked about."""
        return self.progress.tries_left(task.image, sha256, self._tries)

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


def settings_of(describer: Describer) -> str:
    """Hash of how a describer asks, as it is kept with each reply."""
    return digest(describer.settings)
