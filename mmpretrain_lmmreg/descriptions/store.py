"""``descriptions.jsonl``: a reader that holds an index only, and a writer that only appends.

Key = (image, prompt): the best status wins, then the latest line. What a line holds: ``lines``.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from ..errors import InputError
from ..io.checksums import FIELD
from ..io.files import fsync_folder, make_folder
from ..io.lock import locked
from .lines import RANKS, TAIL, Record, are_records, encode, open_for_reading, scan, unfinished
from .parse import parse_reply

_UNKNOWN = 7  # rank of a record without a status: only parsed where it matters


class DescriptionStore:
    """Reader of a descriptions file; holds one number for each key and reads on demand.

    Raises:
        MissingInputError: The file is not there.
        InputError: A line is malformed; names file and line. An unfinished last line is
            dropped with a warning.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._index: dict[str, dict[str, int]] = {}  # prompt -> image -> offset * 8 + rank
        self._file = open_for_reading(self.path)
        for offset, record in scan(self.path):
            images = self._index.setdefault(record['prompt'], {})
            rank = RANKS.get(record.get('status', ''), _UNKNOWN)
            old = images.get(record['image'])
            if old is not None:
                rank = RANKS[complete(record)['status']]
                if rank > RANKS[complete(self._read(old >> 3))['status']]:
                    continue
            images[record['image']] = offset << 3 | rank

    def _read(self, offset: int) -> Record:
        line = b''
        while chunk := os.pread(self._file.fileno(), 1 << 14, offset + len(line)):  # fork-safe
            line += chunk
            if b'\n' in chunk:
                break
        record = json.loads(line.partition(b'\n')[0])
        record.pop(FIELD, None)
        return record

    def __len__(self) -> int:
        """Number of keys."""
        return sum(map(len, self._index.values()))

    def __iter__(self) -> Iterator[Record]:
        """The winning record of each key, with ``descriptions`` and ``status`` filled in."""
        for images in self._index.values():
            for entry in images.values():
                yield complete(self._read(entry >> 3))

    @property
    def prompts(self) -> list[str]:
        """All prompts in the file, the first used first."""
        return list(self._index)

    def record(self, image: str, prompt: str) -> Record | None:
        """The winning record of a key, or None."""
        entry = self._index.get(prompt, {}).get(image)
        return None if entry is None else complete(self._read(entry >> 3))

    def get(self, image: str, prompt: str | None = None) -> list[str] | None:
        """Descriptions of an image, by its POSIX path relative to the data root.

        Returns:
            None where it was never described; empty where the LMM refused or failed. Without a
            prompt, those of all prompts in turn, as eq. 1 averages over all texts of an image.
        """
        prompts = self._index if prompt is None else [prompt]
        records = [r for p in prompts if (r := self.record(image, p)) is not None]
        return [d for r in records for d in r['descriptions']] if records else None

    @property
    def fingerprint(self) -> str:
        """16 hex digits over all keys and descriptions, whatever the order of the lines."""
        total = 0
        for r in self:
            text = json.dumps([r['image'], r['prompt'], r['descriptions']])
            total += int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), 'big')
        return f'{total % 2**64:016x}'


class DescriptionWriter:
    """Appends records, each of them on the disk before :meth:`append` returns.

    Cuts off an unfinished last line first. A file of others is left as it is.

    Raises:
        InputError: Another process is writing the file, it cannot be written, or it holds
            something else than records.

    Example:
        >>> with DescriptionWriter('descriptions.jsonl') as writer:
        ...     writer.append({'image': 'a.jpg', 'prompt': 'Describe it.', 'reply': '1. A dog.'})
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)

    def __enter__(self) -> 'DescriptionWriter':
        make_folder(self.path.parent)
        with ExitStack() as stack:
            target = Path(os.path.realpath(self.path))  # where a link leads: one lock for all
            lock = target.with_name(f'.{target.name}.lock')
            instead = 'or describe a part of the images (--shard) into a file of its own (--out)'
            stack.enter_context(locked(lock, instead))
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK
                self._file = os.open(target, flags, 0o666)
            except OSError as error:
                raise InputError(
                    f'{self.path} cannot be written ({error.strerror}): name another file (--out)',
                    code='descriptions.not_written',
                ) from error
            stack.callback(os.close, self._file)
            self._mend()
            fsync_folder(target.parent)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _mend(self) -> None:
        """Take out what a crash left unfinished at the end; end the last line."""
        self._check(stat.S_ISREG(os.fstat(self._file).st_mode))
        start, tail = _tail(self._file)
        lines = re.findall(rb'[^\n]*\n|[^\n]+', tail)
        self._check(are_records(lines))
        mended = b''.join(line for line in lines if not unfinished(line))
        if mended and not mended.endswith(b'\n'):
            mended += b'\n'
        if mended != tail:
            with open_for_reading(self.path) as whole:
                self._check(are_records(whole))
            same = len(os.path.commonprefix([tail, mended]))
            os.ftruncate(self._file, start + same)
            self._write(mended[same:])
        os.fsync(self._file)

    def _check(self, ours: bool) -> None:
        if not ours:
            raise InputError(
                f'{self.path} holds something else than descriptions and is left as it is: name '
                'another file (--out)',
                code='descriptions.foreign_file',
            )

    def append(self, *records: Record) -> None:
        """Add records, one line each, in one write; all or, on a full disk, none."""
        size = os.fstat(self._file).st_size
        try:
            self._write(b''.join(map(encode, records)))
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def extend(self, records: Iterable[Record]) -> int:
        """Add records, many with one sync; their number."""
        batch: list[Record] = []
        count = size = 0
        for record in records:
            batch.append(record)
            count, size = count + 1, size + len(encode(record))
            if size > TAIL // 4:  # a crash may leave no more than that unfinished
                self.append(*batch)
                batch, size = [], 0
        if batch:
            self.append(*batch)
        return count

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]


def complete(record: Record) -> Record:
    """The record with ``descriptions`` and ``status``, parsed from its reply where absent."""
    if 'descriptions' in record and 'status' in record:
        return record
    parsed = parse_reply(record['reply'])
    return {'descriptions': parsed.descriptions, 'status': parsed.status, **record}


def _tail(file: int) -> tuple[int, bytes]:
    """The last lines of a file, and where they start."""
    size, length = os.fstat(file).st_size, TAIL
    while True:
        start = max(size - length, 0)
        tail = os.pread(file, length, start)
        skip = tail.find(b'\n') + 1 if start else 0
        if not start or skip:
            return start + skip, tail[skip:]
        length *= 2
