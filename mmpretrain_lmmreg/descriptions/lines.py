"""The lines of ``descriptions.jsonl``: written, checked, gone through.

One JSON object a line with ``image``, ``prompt`` and ``reply``, and where known ``model``,
``settings``, ``sha256``, ``descriptions``, ``status``, ``finish`` and ``error``; last ``crc32``, of
the line up to there. A line without it is read all the same.
"""

import json
import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from ..errors import InputError, MissingInputError
from .parse import STATUSES

Record = dict[str, Any]

RANKS = {status: rank for rank, status in enumerate(STATUSES)}
TAIL = 1 << 20  # bytes, more than one write holds: only the last one can be unfinished
_CRC = b', "crc32": "%08x"}\n'
_CRC_START = _CRC[: _CRC.index(b'%')]
_SHOWN = 5  # damaged lines that a warning lists


def encode(record: Record) -> bytes:
    """The record's line."""
    text = _encode(record)
    return text + _CRC % zlib.crc32(text)


def _encode(record: Record) -> bytes:
    """The record's JSON but for the last brace."""
    try:
        return json.dumps(record, ensure_ascii=False).encode()[:-1]
    except UnicodeEncodeError:  # half a surrogate pair, or a file name that is no UTF-8
        return json.dumps(record).encode()[:-1]


def read_line(line: bytes) -> Record:
    """The record of a line that was checked before."""
    record = json.loads(line)
    record.pop('crc32', None)
    return record


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
                print_log(
                    f'{path}, line {number}: unfinished last line dropped',
                    logger='current',
                    level=logging.WARNING,
                )
            elif line.strip():
                if (record := _decode(line, path, number)) is None:
                    damaged.append(number)
                else:
                    yield offset, record
            if last:
                break
            offset += len(line)
    if damaged:
        _warn(path, damaged)


def _warn(path: Path, damaged: list[int]) -> None:
    shown = ', '.join(map(str, damaged[:_SHOWN]))
    more = f' and {len(damaged) - _SHOWN} more' if len(damaged) > _SHOWN else ''
    print_log(
        f'{path}: the crc32 of line {shown}{more} says that it is damaged: left out, as if it had '
        'not been written. `python tools/describe.py CONFIG` asks about its image again; if you '
        'changed the line yourself, take its crc32 out',
        logger='current',
        level=logging.WARNING,
    )


def unfinished(line: bytes) -> bool:
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


def _decode(line: bytes, path: Path, number: int) -> Record | None:
    """The line's record, with its fields checked; None for one of another checksum."""
    where = f'{path}, line {number}'
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        if _CRC_START in line[-len(_CRC_START) - len('01234567"}\n') :]:
            return None
        raise InputError(f'{where}: not a JSON object ({error}); mend or delete the line') from None
    if not isinstance(record, dict):
        raise InputError(f'{where}: not a JSON object; mend or delete the line')
    if 'crc32' in record and not _holds(line, record):
        return None
    for field in ('image', 'prompt', 'reply'):
        if not isinstance(record.get(field), str):
            raise InputError(f'{where}: field "{field}" must be a string; mend or delete the line')
    if record.get('status', 'ok') not in RANKS:
        raise InputError(
            f'{where}: unknown status {record["status"]!r}; known are {", ".join(STATUSES)}'
        )
    items = record.get('descriptions', [])
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise InputError(f'{where}: field "descriptions" must be a list of strings')
    return record


def _holds(line: bytes, record: Record) -> bool:
    """Whether the checksum, which this takes out of the record, is that of what else is in it."""
    crc = record.pop('crc32')
    if crc == f'{zlib.crc32(line.rpartition(_CRC_START)[0]):08x}':
        return True
    return crc == f'{zlib.crc32(_encode(record)):08x}'  # of a line that another tool has written
