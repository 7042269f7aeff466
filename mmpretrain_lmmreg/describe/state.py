"""What is known of each image, and what a run did."""

import hashlib
import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from ..descriptions.lines import RANKS, Record, scan
from ..descriptions.store import complete
from ..errors import InputError
from ..features.keys import contents_compared, stat_signature
from ..io.files import make_folder
from .describers import Answer
from .tasks import Task

_GOOD, _FAILED = RANKS['long'], RANKS['error']  # ok and long are good
_ROW, _UNSAVED = 16, 1 << 10  # bytes of a row; rows that a crash may lose


@dataclass
class Tally:
    """What a run did: images by the best status of their replies, and what that took."""

    statuses: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(RANKS, 0)))
    kept: int = 0  # images that needed no asking
    shared: int = 0  # images with the content of another one, whose replies are theirs, too
    answers: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    uncounted: int = 0  # answers whose tokens nobody counted
    cut: int = 0  # answers that a token limit ended
    busy: float = 0  # seconds that calls of the describer took, those at the same time added up
    pending: int = 0  # images that are being asked about
    last_error: str = ''
    spent: str = ''  # the option whose limit ended the run

    @property
    def asked(self) -> int:
        """Images that were asked about."""
        return self.statuses.total()

    @property
    def done(self) -> int:
        """Images that need no more asking."""
        return self.asked + self.kept + self.shared

    def add(self, answer: Answer) -> None:
        """Count an answer's tokens; an error without any was none."""
        if answer.error and answer.tokens_out is None:
            return
        self.answers += 1
        self.tokens_in += answer.tokens_in or 0
        self.tokens_out += answer.tokens_out or 0
        self.uncounted += answer.tokens_in is None or answer.tokens_out is None
        self.cut += answer.finish == 'truncated'

    def exceeded(
        self, limits: Sequence[tuple[str, float, tuple[float, float]]], images: int
    ) -> str:
        """The option whose limit so many more images would pass, by what others took; or ''.

        Raises:
            InputError: The endpoint does not count tokens.
        """
        counted = max(self.answers - self.uncounted, 1)
        for option, most, price in limits:
            if self.uncounted and self.uncounted == self.answers:
                raise InputError(
                    f'{option}: the endpoint does not say how many tokens an answer took, so the '
                    'limit cannot be kept: leave the option out',
                    code='describe.uncounted',
                )
            each = (self.tokens_in * price[0] + self.tokens_out * price[1]) / counted
            taken = each * max(self.answers, 1)  # what was not counted is taken for as much
            if taken >= most or taken + each * (self.pending + images) > most:
                return option
        return ''


class Known(NamedTuple):
    """What a descriptions file holds of an image's content."""

    content: str = ''  # the first 16 hex digits of its SHA-256, empty where no record says it
    replies: int = 0
    rank: int = _FAILED  # of the best status
    failed: bool = False  # an error is on record
    final: bool = False  # a reply that the server cut off or refused: it would do so again


class Answered:
    """Which images need asking: what a file holds of one prompt, model and settings.

    A record without ``model``, ``settings`` or ``sha256`` stands for any. After an image's
    content changed, only replies about the new content count.

    Args:
        prompt, model, settings: What is asked now; other records do not count.
        path: The descriptions file, which need not exist yet.
        tries: Replies that are asked for at most, until one is good.
        shares: Whether images of one content share the replies about one of them.

    Attributes:
        others: Replies to the prompt by other models, by model.
    """

    def __init__(
        self,
        prompt: str,
        model: str,
        settings: str,
        path: Path,
        tries: int = 1,
        shares: bool = True,
    ) -> None:
        self._asked, self._tries, self._shares = (prompt, model, settings), tries, shares
        self._images: dict[str, Known] = {}
        self._leaders: dict[str, str] = {}  # by content: the image that is asked about
        self._waiting: defaultdict[str, list[Task]] = defaultdict(list)  # by content: the others
        self.others: Counter[str] = Counter()
        for _, record in scan(path) if os.path.exists(path) else ():
            self.add(record)

    def add(self, record: Record) -> None:
        """Count a record of the file, if it answers what is asked now."""
        prompt, model, _ = self._asked
        if record['prompt'] == prompt and (record.get('model') or model) != model:
            self.others[record['model']] += record.get('status') != 'error'
        if not self._counts(record):
            return
        content, rank = _short(record.get('sha256')), RANKS[complete(record)['status']]
        old, final = self.known(record['image'], content), bool(record.get('finish'))
        self._images[record['image']] = Known(
            content,
            old.replies + (rank != _FAILED),
            min(old.rank, rank),
            old.failed or rank == _FAILED,
            old.final or final,
        )
        if content and (rank <= _GOOD or final):
            self._leaders.setdefault(content, record['image'])

    def _counts(self, record: Record) -> bool:
        prompt, model, settings = self._asked
        given = record.get('model') or model, record.get('settings') or settings
        return (record['prompt'], *given) == (prompt, model, settings)

    def known(self, image: str, sha256: str | None) -> Known:
        """What there is about this content of an image."""
        known, content = self._images.get(image, Known()), _short(sha256)
        return Known() if content and known.content and known.content != content else known

    def tries_left(self, image: str, sha256: str | None) -> int:
        """How many replies may still be asked for; 0 after a good or final one."""
        known = self.known(image, sha256)
        return 0 if known.rank <= _GOOD or known.final else max(self._tries - known.replies, 0)

    def waits(self, task: Task, sha256: str | None) -> bool:
        """Whether another image of this content is or was asked about; then this one waits."""
        content = _short(sha256) if self._shares else ''
        if not content or self._leaders.setdefault(content, task.image) == task.image:
            return False
        self._waiting[content].append(task)
        return True

    def shared(self, path: Path, tally: Tally) -> Iterator[Record]:
        """Records of those that wait: copies of the replies about the leading images in a file."""
        waiting, self._waiting = self._waiting, defaultdict(list)
        found: defaultdict[str, list[Record]] = defaultdict(list)
        for _, record in scan(path) if waiting else ():
            content = _short(record.get('sha256'))
            leads = content in waiting and self._leaders[content] == record['image']
            if leads and self._counts(record) and record.get('status') != 'error':
                found[content].append(record)
        for content, replies in found.items():
            for task in waiting[content]:
                tally.shared += 1
                yield from ({**record, 'image': task.image} for record in replies)


def _short(sha256: object) -> str:
    return sha256[:16] if isinstance(sha256, str) else ''


class Contents:
    """What image files held when they were read last, so that a resumed run need not read them.

    A file is known by its path and :func:`stat_signature`, 16 bytes each. A damaged or lost row
    costs one reading of a file: contents decide wherever an image is asked about. With
    ``$LMMREG_VERIFY_CONTENT=1`` all rows are forgotten, and each file is read again.

    Args:
        path: A file that is appended to; without one, rows live as long as the object.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._new, self._lock = path, array('Q'), Lock()
        self._rows: dict[int, int] = {}
        if path and contents_compared():
            path.unlink(missing_ok=True)
        elif path and path.is_file():
            whole = path.stat().st_size // _ROW  # a crash may leave half a row
            names, contents = np.fromfile(path, '<u8', 2 * whole).reshape(-1, 2).T.tolist()
            self._rows = dict(zip(names, contents, strict=True))

    def __getitem__(self, path: str) -> str | None:
        """The first 16 hex digits of a file's SHA-256, or None where its state is not known."""
        content = self._rows.get(_name(path, stat_signature(path))) if self._rows else None
        return None if content is None else f'{content:016x}'

    def add(self, path: str, state: str, sha256: str) -> None:
        """Keep what a file held, by the state that it had before it was read."""
        with self._lock:
            self._new.extend((_name(path, state), int(sha256[:16], 16)))
        if len(self._new) >= 2 * _UNSAVED:
            self.save()

    def save(self) -> None:
        """Append what is new to the file; where that cannot be, images are read again later."""
        with self._lock, suppress(OSError, InputError):
            new, self._new = self._new, array('Q')
            if self._path and new:
                make_folder(self._path.parent)
                with open(self._path, 'ab') as file:
                    file.truncate(file.tell() // _ROW * _ROW)
                    file.write(np.array(new, '<u8').tobytes())


def _name(path: str, state: str) -> int:
    text = f'{os.path.abspath(path)}\t{state}'
    raw = hashlib.blake2b(text.encode(errors='surrogateescape'), digest_size=8).digest()
    return int.from_bytes(raw, 'little')
