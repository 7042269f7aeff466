"""Checkpoint files: written whole with a digest beside them, verified, and the newest whole one."""

import io
import logging
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log

from ..errors import InputError
from ..io.checksums import file_checksum as checksum
from ..io.files import save_atomic

LAST = 'last_checkpoint'
DIGEST = '.crc32'  # beside a checkpoint: its CRC-32 and its number of bytes
_NUMBERED = re.compile(r'_(\d+)\.pth$')


def digest_file(path: str | Path) -> Path:
    """Where a checkpoint's digest is kept."""
    return Path(f'{path}{DIGEST}')


def write_whole(checkpoint: dict, path: str | Path) -> None:
    """Write a checkpoint and its digest so that a crash leaves the file whole or absent.

    The old digest goes first and the new one comes last: in between, the file is checked by the
    checksums that torch writes into it.

    Raises:
        InputError: the disk is full or not writable.
    """
    with io.BytesIO() as buffer:
        torch.save(checkpoint, buffer)
        content = buffer.getbuffer()
        text = f'{zlib.crc32(content):08x} {len(content)}\n'
        try:
            with save_atomic(path) as file:
                file.write(content)
                file.flush()
                digest_file(path).unlink(missing_ok=True)
            with save_atomic(digest_file(path)) as file:
                file.write(text.encode())
        except OSError as error:
            raise InputError(
                f'the checkpoint {path} cannot be written ({error.strerror}); what was written '
                'before it is kept. Mend this, then go on with --resume'
            ) from error
        finally:
            content.release()


def check_whole(path: str | Path) -> None:
    """Raise InputError where a checkpoint is cut or a bit of it has flipped.

    By its digest, else by the checksums inside. Files of torch before 1.6 have none.
    """
    beside = digest_file(path)
    problem = _unlike(path, beside) if beside.is_file() else _broken_archive(path)
    if problem:
        raise InputError(f'{path} is damaged: {problem}')


def _unlike(path: str | Path, beside: Path) -> str:
    expected = beside.read_text('ascii', 'replace').split()
    if len(expected) != 2:
        return f'its digest {beside} is damaged; if the checkpoint is good, remove {beside.name}'
    size = os.path.getsize(path)
    if expected[1] != str(size):
        return f'it has {size} bytes of {expected[1]}'
    if expected[0] == checksum(Path(path)):
        return ''
    return f'its content is not what was written; if you replaced it yourself, remove {beside.name}'


def _broken_archive(path: str | Path) -> str:
    with open(path, 'rb') as file:
        zipped = file.read(4) == b'PK\x03\x04'
    if not zipped:
        return '' if os.path.getsize(path) else 'it is empty'
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        return f'it is cut or overwritten ({error})'
    return f'the checksum of its part {bad} is wrong' if bad else ''


def write_last(folder: str | Path, path: str) -> None:
    """Name the newest checkpoint in ``last_checkpoint``."""
    with save_atomic(Path(folder, LAST)) as file:
        file.write(path.encode())


def newest_whole(folder: str | Path) -> str | None:
    """The newest whole checkpoint of a work folder; those passed over are named. None: no file.

    Newer than the one that ``last_checkpoint`` names is one with a later time and a larger number,
    as a run leaves it that was killed in between.

    Raises:
        InputError: there are checkpoints, and all are damaged.
    """
    problems = []
    for path in _newest_first(Path(folder), _named(Path(folder))):
        try:
            check_whole(path)
        except InputError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            print_log(f'{problem}. It is passed over', 'current', logging.WARN)
        return str(path)
    if problems:
        raise InputError(
            f'--resume: no checkpoint of {folder} is whole. '
            + '; '.join(problems)
            + '. Remove them to train from the start'
        )
    print_log(f'{folder} has no checkpoint: training begins at the start', 'current')
    return None


def _named(folder: Path) -> Path | None:
    """The file that ``last_checkpoint`` names, in its folder first: that may have been moved."""
    last = folder / LAST
    named = Path(last.read_text('utf-8', 'replace').strip()) if last.is_file() else Path()
    if not named.name:
        return None
    for path in (folder / named.name, named):
        if path.is_file():
            return path
    print_log(f'{last} names {named}, which is not there', 'current', logging.WARN)
    return None


def _newest_first(folder: Path, named: Path | None) -> list[Path]:
    where = {folder, named.parent} if named else {folder}
    found = {p.resolve(): p for place in where for p in place.glob('*_*.pth') if _step(p) >= 0}
    if named:
        found.pop(named.resolve(), None)
    rest = [path for path in found.values() if not path.name.startswith('best_')]
    rest.sort(key=lambda path: (path.stat().st_mtime_ns, _step(path)), reverse=True)
    if not named:
        return rest
    time, step = named.stat().st_mtime_ns, _step(named)
    newer = [p for p in rest if p.stat().st_mtime_ns > time and _step(p) > step]
    return [*newer, named, *(p for p in rest if p not in newer)]


def _step(path: Path) -> int:
    match = _NUMBERED.search(path.name)
    return int(match[1]) if match else -1


def remove(path: Path) -> None:
    """Delete a checkpoint and its digest, in this order."""
    path.unlink(missing_ok=True)
    digest_file(path).unlink(missing_ok=True)


def remove_unfinished(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Delete what killed writes of checkpoints left beside them."""
    for path in folder.glob('.*.pth*.*'):
        name = re.match(r'\.(.+\.pth)(?:\.crc32)?\.[^.]+$', path.name)
        if name and is_ours(name[1]) and path.is_file():
            path.unlink()
    for path in folder.glob(f'.{LAST}.*'):
        path.unlink()


def saver(theirs: Callable[..., Any]) -> Callable[..., None]:
    """mmengine's ``save_checkpoint``, but local files are written by :func:`write_whole`."""

    def save_checkpoint(
        checkpoint: dict, filename: str, file_client_args: Any = None, backend_args: Any = None
    ) -> None:
        if file_client_args or backend_args or '://' in filename:
            theirs(checkpoint, filename, file_client_args, backend_args)
        else:
            write_whole(checkpoint, filename)

    return save_checkpoint
