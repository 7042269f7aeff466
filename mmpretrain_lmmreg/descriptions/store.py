"""``descriptions.jsonl``: a reader that holds an index only, and a writer that only appends.

One JSON object a line with ``image``, ``prompt`` and ``reply``, and where known ``model``,
``settings``, ``sha256``, ``descriptions``, ``status`` and ``error``. Key = (image, prompt): the
best status wins, then the latest line.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from ..cache import fsync_folder
from ..errors import InputError, MissingInputError
from .parse import STATUSES, parse_reply

Record = dict[str, Any]

_UNKNOWN = 7  # rank of a record without a status: only parsed where it matters
_RANKS = {status: rank for rank, status in enumerate(STATUSES)}


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
            self._add(offset, record)

    def _add(self, offset: int, record: Record) -> None:
        images = self._index.setdefault(record['prompt'], {})
        rank = _RANKS.get(record.get('status', ''), _UNKNOWN)
        old = images.get(record['image'])
        if old is not None:
            rank = _rank(record)
            if rank > _rank(self._read(old >> 3)):
                return
        images[record['image']] = offset << 3 | rank

    def _read(self, offset: int) -> Record:
        line = b''
        while chunk := os.pread(self._file.fileno(), 1 << 14, offset + len(line)):  # fork-safe
            line += chunk
            if b'\n' in chunk:
                break
        return json.loads(line.partition(b'\n')[0])

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
        """Descriptions of an image; None where it was never described.

        Empty where the LMM refused or failed. Without a prompt, those of all prompts in turn,
        as eq. 1 averages over all texts of an image.

        Args:
            image: POSIX path relative to the data root.
            prompt: Take what was answered to this prompt only.
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

    Cuts off an unfinished last line first. To be used in a ``with`` statement.

    Raises:
        InputError: Another process is writing the file.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)

    def __enter__(self) -> 'DescriptionWriter':
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._mend()
        except BlockingIOError as error:
            os.close(self._file)
            raise InputError(
                f'{self.path} is being written by another process: wait for it, or describe a '
                'part of the images (--shard) into a file of its own (--out)'
            ) from error
        fsync_folder(self.path.parent)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)  # releases the lock

    def _mend(self) -> None:
        """Take out what a crash left unfinished at the end; end the last line."""
        start, tail = _tail(self._file)
        lines = re.findall(rb'[^\n]*\n|[^\n]+', tail)
        mended = b''.join(line for line in lines if not _unfinished(line))
        if mended and not mended.endswith(b'\n'):
            mended += b'\n'
        if mended != tail:
            same = len(os.path.commonprefix([tail, mended]))
            os.ftruncate(self._file, start + same)
            self._write(mended[same:])
        os.fsync(self._file)

    def append(self, *records: Record) -> None:
        """Add records, one line each, in one write; all or, on a full disk, none."""
        size = os.fstat(self._file).st_size
        try:
            self._write(b''.join(map(encode, records)))
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]


def encode(record: Record) -> bytes:
    """The record's line."""
    try:
        return json.dumps(record, ensure_ascii=False).encode() + b'\n'
    except UnicodeEncodeError:  # half a surrogate pair, or a file name that is no UTF-8
        return json.dumps(record).encode() + b'\n'


def complete(record: Record) -> Record:
    """The record with ``descriptions`` and ``status``, parsed from its reply where absent."""
    if 'descriptions' in record and 'status' in record:
        return record
    parsed = parse_reply(record['reply'])
    return {'descriptions': parsed.descriptions, 'status': parsed.status, **record}


def _rank(record: Record) -> int:
    return _RANKS[complete(record)['status']]


def open_for_reading(path: Path):
    """The file, opened for binary reading, or an error that says how to make it."""
    try:
        return open(path, 'rb')
    except FileNotFoundError:
        raise MissingInputError(
            f'no descriptions file {path}: make it with `python tools/describe.py CONFIG`'
        ) from None


def scan(path: Path) -> Iterator[tuple[int, Record]]:
    """Offset and checked record of every line, in the order of the file.

    Raises:
        MissingInputError, InputError: As :class:`DescriptionStore`.
    """
    offset = 0
    with open_for_reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        for number, line in enumerate(file, 1):
            last = offset + len(line) >= size  # what a writer adds meanwhile is not looked at
            if _unfinished(line) and (last or offset >= size - _TAIL):
                print_log(
                    f'{path}, line {number}: unfinished last line dropped',
                    logger='current',
                    level=logging.WARNING,
                )
            elif line.strip():
                yield offset, _decode(line, path, number)
            if last:
                break
            offset += len(line)


_TAIL = 1 << 20  # more than one write holds: only the last one can be unfinished


def _tail(file: int) -> tuple[int, bytes]:
    """The last lines of a file, and where they start."""
    size, length = os.fstat(file).st_size, _TAIL
    while True:
        start = max(size - length, 0)
        tail = os.pread(file, length, start)
        skip = tail.find(b'\n') + 1 if start else 0
        if not start or skip:
            return start + skip, tail[skip:]
        length *= 2


def _unfinished(line: bytes) -> bool:
    """Whether a line broke off: blocks never written, or no newline and no whole object."""
    if b'\0' in line:
        return True
    if line.endswith(b'\n'):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False


def _decode(line: bytes, path: Path, number: int) -> Record:
    """The line's record, with its fields checked."""
    where = f'{path}, line {number}'
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f'{where}: not a JSON object ({error}); mend or delete the line') from None
    if not isinstance(record, dict):
        raise InputError(f'{where}: not a JSON object; mend or delete the line')
    for field in ('image', 'prompt', 'reply'):
        if not isinstance(record.get(field), str):
            raise InputError(f'{where}: field "{field}" must be a string; mend or delete the line')
    if record.get('status', 'ok') not in _RANKS:
        raise InputError(
            f'{where}: unknown status {record["status"]!r}; known are {", ".join(STATUSES)}'
        )
    items = record.get('descriptions', [])
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise InputError(f'{where}: field "descriptions" must be a list of strings')
    return record
