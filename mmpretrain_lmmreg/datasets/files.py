"""Image files below a data root: which are there, and which cannot be read."""

import os
import re
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from ..errors import InputError, MissingInputError
from ..io.printing import plain
from ..progress import track
from .pictures import IMAGE_SUFFIXES, read_rgb, why_unreadable


def natural_key(name: str) -> tuple:
    """Sort key by which 'a_2' comes before 'a_10'; different names, as '1' and '01', differ."""
    parts = [part for part in re.split(r'(\d+)', name) if part]
    return [_number(part) if part.isdecimal() else (1, 0, part) for part in parts], name


def _number(digits: str) -> tuple[int, int, str]:
    """As numbers compare, for any number of digits."""
    digits = digits.lstrip('0')
    return 0, len(digits), digits


def some_of(names: Sequence[str], limit: int = 3) -> str:
    """'a, b, c and 7 more', for the text of an error."""
    more = len(names) - limit
    return ', '.join(map(str, names[:limit])) + (f' and {more} more' if more > 0 else '')


def is_image(name: str) -> bool:
    """Whether a file name is visible and ends as an image's does."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.')


def class_folders(folder: Path) -> list[str]:
    """Names of the visible folders in ``folder``, sorted."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith('.'))


def locate(root: str | os.PathLike, rel_paths: Sequence[str]) -> list[str | None]:
    """Return each path as it is spelt on disk, None where there is no file.

    Letter case is ignored, and so is whether an accent is a letter's part or its own (NFC, NFD).

    Every folder is listed once and no file is asked for by itself, which matters on a network
    disk with thousands of images.
    """

    @cache
    def names(folder: str) -> dict[str, str]:
        try:
            entries = os.listdir(os.path.join(root, folder))
        except OSError:
            return {}
        return {_key(entry): entry for entry in entries} | {entry: entry for entry in entries}

    @cache
    def on_disk(path: str) -> str | None:
        folder, _, name = path.rpartition('/')
        parent = on_disk(folder) if folder else ''
        if parent is None:
            return None
        found = names(parent).get(name) or names(parent).get(_key(name))
        return found and (f'{parent}/{found}' if parent else found)

    return [on_disk(path) for path in rel_paths]


def _key(name: str) -> str:
    return unicodedata.normalize('NFC', name).lower()


def check_names(rel_paths: Sequence[str], root: str | os.PathLike) -> None:
    """Raise InputError for names that are not UTF-8: no list or file of replies can hold them."""
    wrong = [path for path in rel_paths if not _is_utf8(path)]
    if wrong:
        some = some_of(list(map(plain, wrong)))
        raise InputError(
            f'{root}: {len(wrong):,} image names are not UTF-8: {some}; '
            'rename them (convmv does that for a whole folder)'
        )


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # Python keeps other bytes as halves of surrogate pairs
        return False
    return True


def require_all(
    root: str | os.PathLike, rel_paths: Sequence[str], what: str, remedy: str
) -> list[str]:
    """``locate``, with an error that counts the missing files and names the first few."""
    found = locate(root, rel_paths)
    missing = [path for path, there in zip(rel_paths, found, strict=True) if there is None]
    if missing:
        raise MissingInputError(
            f'{what}: {len(missing):,} of {len(rel_paths):,} images are missing in '
            f'{root}: {some_of(missing)}. {remedy}',
            code='data.missing_images',
        )
    return [path for path in found if path is not None]


def unreadable_images(
    root: str | os.PathLike, rel_paths: Sequence[str], workers: int | None = None
) -> dict[str, str]:
    """Decode every image and return {path: reason} of those that cannot be.

    The content decides, not the suffix: a PNG called .jpg is fine.
    """

    def reason(path: str) -> str | None:
        try:
            read_rgb(Path(root) / path)
        except Exception as error:  # pillow raises many kinds on damaged files
            return why_unreadable(Path(root) / path, error)
        return None

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        reasons = track(pool.map(reason, rel_paths), 'checking images', len(rel_paths))
        return {path: why for path, why in zip(rel_paths, reasons, strict=True) if why}
