"""The lines of ``descriptions.jsonl``: written, checked, gone through.

One JSON object a line with ``image``, ``prompt`` and ``reply``, and where known ``model``,
``settings``, ``sha256``, ``descriptions``, ``status``, ``finish`` and ``error``; last ``crc32``, of
the line up to there. A line without it is read all the same.
"""

import json
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mmengine.logging import print_log

from ..errors import InputError, MissingInputError
from ..io.checksums import FIELD, encode_json, holds_checksum
from ..io.files import check_fields, parse_json
from .parse import STATUSES

Record = dict[str, Any]

RANKS = {status: rank for rank, status in enumerate(STATUSES)}
TAIL = 1 << 20  # bytes, more than one write holds: only the last one can be unfinished
_CHECKSUM = f', "{FIELD}": "'.encode()
_START = b'{"image": "'
_SHOWN = 5  # damaged lines that a warning lists
_FIELDS: dict[str, Any] = {'image': str, 'prompt': str, 'reply': str}
_FIELDS |= {'status?': str, 'descriptions?': [str]}
_FIELDS |= dict.fromkeys(('model?', 'settings?', 'sha256?', 'finish?', 'error?'), (str, type(None)))


def encode(record: Record) -> bytes:
    """The record's line."""
    return encode_json(record) + b'\n'


def open_for_reading(path: Path) -> BinaryIO:
    """Open a descriptions file for binary reading.

    Raises:
        MissingInputError: There is none; the message says how to make it.
        InputError: It cannot be read, or is no regular file: a pipe or a device never ends.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 'rb')
    except FileNotFoundError:
        raise MissingInputError(
            f'no descriptions file {path}: make it with `mmpretrain-lmmreg describe CONFIG`',
            code='descriptions.no_file',
        ) from None
    except OSError as error:
        raise InputError(
            f'the descriptions file {path} cannot be read ({error.strerror})',
            code='descriptions.unreadable',
        ) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InputError(
            f'{path} is not a regular file: give a file of descriptions',
            code='descriptions.no_regular_file',
        )
    return file


def scan(path: Path) -> Iterator[tuple[int, Record]]:
    """Offset and checked record of every line, in the order of the file.

    An unfinished last line, and lines whose ``crc32`` is another, are left out with a warning.

    Raises:
        MissingInputError, InputError: As :class:`DescriptionStore`.
    """
    offset, damaged = 0, list[int]()
    with open_for_reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        for number, line in enumerate(file, 1):
            last = offset + len(line) >= size  # what a writer adds meanwhile is not looked at
            if unfinished(line) and (last or offset >= size - TAIL):
                _warn(f'{path}, line {number}: unfinished last line dropped')
            elif line.strip():
                if record := _decode(line, path, number):
                    yield offset, record
                else:
                    damaged.append(number)
            if last:
                break
            offset += len(line)
    if damaged:
        shown = ', '.join(map(str, damaged[:_SHOWN]))
        more = f' and {len(damaged) - _SHOWN} more' if len(damaged) > _SHOWN else ''
        _warn(
            f'{path}: the crc32 of line {shown}{more} says that it is damaged: left out, as if it '
            'had not been written. `mmpretrain-lmmreg describe CONFIG` asks about its image again; '
            'if you changed the line yourself, take its crc32 out'
        )


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)


def unfinished(line: bytes) -> bool:
    """Whether a line broke off: blocks never written, or no newline and no whole object."""
    if line.endswith(b'\n') or b'\0' in line:
        return b'\0' in line
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False


def are_records(lines: Iterable[bytes]) -> bool:
    """Whether lines are records; unfinished ones, where there is no other, begin as records do."""
    found, cut = False, list[bytes]()
    for line in filter(bytes.strip, lines):
        if unfinished(line):
            cut.append(line[: len(_START)].rstrip(b'\0'))
            continue
        try:
            _decode(line, Path(), 0)
        except InputError:
            return False
        found = True
    return found or all(map(_START.startswith, cut))


def _decode(line: bytes, path: Path, number: int) -> Record | None:
    """The line's record, with its fields checked; None for one of another checksum."""
    where = f'{path}, line {number}'
    record, problem = None, 'but another value'
    try:
        record = parse_json(line, where)
    except InputError as error:
        problem = str(error.__cause__)
    if not isinstance(record, dict):
        if _CHECKSUM in line[-len(_CHECKSUM) - len('01234567"}\n') :]:
            return None
        raise InputError(
            f'{where}: not a JSON object ({problem}); correct or delete the line',
            code='descriptions.damaged_line',
        )
    if not holds_checksum(record, line):
        return None
    check_fields(record, _FIELDS, where)
    if record.get('status', 'ok') not in RANKS:
        raise InputError(
            f'{where}: unknown status {record["status"]!r}; known are {", ".join(STATUSES)}',
            code='descriptions.unknown_status',
        )
    return record
