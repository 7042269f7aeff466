"""Checksums of the files of a folder, kept beside them in ``checksums.json``.

Needs Python alone: exported classifiers carry a copy of this file.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

NAME = 'checksums.json'


def crc_of(file: Path, start: int = 0) -> int:
    """CRC-32 of a file from the byte ``start`` on, read piece by piece."""
    total, piece = 0, memoryview(bytearray(2**20))
    with open(file, 'rb', buffering=0) as opened:
        opened.seek(start)
        while size := opened.readinto(piece):
            total = crc32(piece[:size], total)
    return total


def checksum(file: Path) -> str:
    """CRC-32 of a file, 8 hex digits."""
    return f'{crc_of(file):08x}'


def write_checksums(files: Iterable[Path], folder: Path) -> None:
    """Write ``checksums.json`` of files in a folder, by name."""
    sums = {file.name: checksum(file) for file in sorted(files)}
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
    except ValueError as error:
        raise ValueError(f'{file.parent / NAME} is damaged ({error})') from error
    expected = sums.get(file.name) if isinstance(sums, dict) else None
    if expected is not None and expected != checksum(file):
        raise ValueError(f'{file} is damaged or was changed: its checksum is not that in {NAME}')
