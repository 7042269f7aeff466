"""CRC-32 checksums, 8 hex digits: of a file in ``checksums.json`` beside it, of JSON within it.

Needs Python alone: exported classifiers carry a copy of this file.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

NAME = 'checksums.json'
FIELD = 'crc32'  # of a JSON object, its last one: the checksum of what else is in it


def checksum(data: bytes | memoryview) -> str:
    """CRC-32 of bytes, 8 hex digits."""
    return f'{crc32(data):08x}'


def file_checksum(file: Path, start: int = 0) -> str:
    """CRC-32 of a file from the byte ``start`` on, read piece by piece."""
    total, piece = 0, memoryview(bytearray(2**20))
    with open(file, 'rb', buffering=0) as opened:
        opened.seek(start)
        while size := opened.readinto(piece):
            total = crc32(piece[:size], total)
    return f'{total:08x}'


def encode_json(content: Mapping[str, Any]) -> bytes:
    """An object as one line of JSON that ends in its own checksum; no newline."""
    body = _body(content)
    return body + f', "{FIELD}": "{checksum(body)}"}}'.encode()


def json_checksum(content: Mapping[str, Any]) -> str:
    """Checksum of an object that does not hold one."""
    return checksum(_body(content))


def holds_checksum(content: dict[str, Any], line: bytes = b'') -> bool:
    """Take the checksum out of an object; False if it is that of another one, True without any.

    Args:
        content: The object.
        line: Its JSON, where :func:`encode_json` may have written that: then nothing is encoded.
    """
    if FIELD not in content:
        return True
    found = content.pop(FIELD)
    before = line.rpartition(f', "{FIELD}"'.encode())[0]
    return (bool(before) and found == checksum(before)) or found == json_checksum(content)


def _body(content: Mapping[str, Any]) -> bytes:
    """An object's JSON but for the last brace."""
    return to_json(content)[:-1]


def to_json(content: Any, indent: int | None = None) -> bytes:
    """JSON in UTF-8; in ASCII where a text is none, as half a surrogate pair."""
    try:
        return json.dumps(content, indent=indent, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(content, indent=indent).encode()


def write_checksums(files: Iterable[Path], folder: Path) -> None:
    """Write ``checksums.json`` of files in a folder, by name."""
    sums = {file.name: file_checksum(file) for file in sorted(files)}
    (folder / NAME).write_text(json.dumps(sums, indent=1) + '\n', encoding='utf-8')


def check_file(file: Path) -> None:
    """Compare a file with the checksum beside it; nothing, where its folder has none of it.

    Raises:
        ValueError: it is another one, or ``checksums.json`` is damaged.
    """
    try:
        sums = json.loads((file.parent / NAME).read_text(encoding='utf-8'))
    except FileNotFoundError:
        return
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{file.parent / NAME} is damaged ({error})') from error
    expected = sums.get(file.name) if isinstance(sums, dict) else None
    if expected is not None and expected != file_checksum(file):
        raise ValueError(f'{file} is damaged or was changed: its checksum is not that in {NAME}')
