"""Image files below a data root: which are there, and which cannot be read."""

import base64
import io
import os
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path, PurePosixPath

from ..errors import InputError, MissingInputError
from ..io.printing import plain
from ..progress import track
from .pictures import SYSTEM_FOLDERS, read_rgb, why_unreadable


def some_of(names: Sequence[str], limit: int = 3) -> str:
    """'a, b, c and 7 more', for the text of an error."""
    more = len(names) - limit
    return ', '.join(map(str, names[:limit])) + (f' and {more} more' if more > 0 else '')


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in ``folder`` that are neither hidden nor a system's, sorted."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    return [n for n in names if not n.startswith('.') and n.lower() not in SYSTEM_FOLDERS]


def locate(root: str | os.PathLike, rel_paths: Sequence[str]) -> list[str | None]:
    """Return each path as it is spelt on disk, None where there is no file.

    Letter case and Unicode form are ignored. Every folder is listed once and no file is asked for
    by itself, which matters on a network disk.
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


def require_all(
    root: str | os.PathLike, rel_paths: Sequence[str], what: str, remedy: str
) -> list[str]:
    """:func:`locate` of images that must be there, each under one name.

    Raises:
        MissingInputError: images are missing; their number and the first names are said.
        InputError: a name that is not UTF-8; two names of one file.
    """
    wrong = [path for path in rel_paths if any('\ud800' <= letter <= '\udfff' for letter in path)]
    if wrong:
        raise InputError(
            f'{root}: {len(wrong):,} image names are not UTF-8: '
            f'{some_of(list(map(plain, wrong)))}; rename them, as convmv does',
            code='data.not_utf8',
        )
    found = locate(root, rel_paths)
    names: dict[str, str] = {}
    missing = []
    for path, there in zip(rel_paths, found, strict=True):
        if there is None:
            missing.append(path)
        elif names.setdefault(there, path) != path:
            raise InputError(
                f'{what}: {names[there]!r} and {path!r} are one image, {there!r} in {root}: list '
                'it once',
                code='data.listed_twice',
            )
    if missing:
        shown = [path if path.isprintable() else ascii(path) for path in missing[:3]]
        raise MissingInputError(
            f'{what}: {len(missing):,} of {len(rel_paths):,} images are missing in '
            f'{root}: {some_of(shown + missing[3:])}. {remedy}',
            code='data.missing_images',
        )
    return list(filter(None, found))


def unreadable_images(root: str | os.PathLike, rel_paths: Sequence[str]) -> dict[str, str]:
    """Decode every image and return {path: reason} of those that cannot be.

    The content decides, not the suffix: a PNG called .jpg is fine.
    """

    def reason(path: str) -> str | None:
        try:
            read_rgb(Path(root) / path)
        except Exception as error:  # pillow raises many kinds on damaged files
            return why_unreadable(Path(root) / path, error)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = track(pool.map(reason, rel_paths), 'checking images', len(rel_paths))
        return {path: why for path, why in zip(rel_paths, reasons, strict=True) if why}


def thumbnail(root: str, path: str, pixels: int = 320) -> str | None:
    """A small JPEG of an image below a data root as a data URI, ``pixels`` on its longer side.

    None where it cannot be read, or where the name, which may be from somebody's results, leads
    out of the data root.
    """
    if PurePosixPath(path).is_absolute() or '..' in PurePosixPath(path).parts:
        return None
    try:
        small = read_rgb(Path(root, path))
    except Exception:  # pillow raises many kinds on damaged files
        return None
    small.thumbnail((pixels, pixels))
    file = io.BytesIO()
    small.save(file, 'jpeg', quality=80)
    return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()
