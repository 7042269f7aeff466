"""Contents of image files as they were read last, so that a resumed run need not read them."""

import hashlib
import os
from array import array
from contextlib import suppress
from pathlib import Path
from threading import Lock

import numpy as np

from ..features.keys import contents_compared, stat_signature

_ROW = np.dtype([('name', '<u8'), ('content', '<u8')])
_UNSAVED = 1 << 10  # rows that a crash may lose


class Hashes:
    """What files hold, by their path and state, 16 bytes each; see :func:`stat_signature`.

    A damaged or lost row costs one reading of a file: contents decide wherever an image is asked
    about. With ``$LMMREG_VERIFY_CONTENT=1`` all rows are forgotten, and each file is read again.

    Args:
        path: A file that is appended to; without one, rows live as long as the object.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._new, self._lock = path, array('Q'), Lock()
        rows = np.zeros(0, _ROW)
        if path and contents_compared():
            path.unlink(missing_ok=True)
        elif path and path.is_file():
            whole = path.stat().st_size // _ROW.itemsize  # a crash may leave half a row
            rows = np.fromfile(path, _ROW, whole)
        self._rows = rows[np.argsort(rows['name'], kind='stable')]

    def __getitem__(self, path: str) -> str | None:
        """The first 16 hex digits of a file's SHA-256, or None where its state is not known."""
        if not len(self._rows):
            return None
        name = np.uint64(_name(path, stat_signature(path)))
        at = int(np.searchsorted(self._rows['name'], name, 'right')) - 1  # the latest of a name
        if at < 0 or self._rows['name'][at] != name:
            return None
        return f'{int(self._rows["content"][at]):016x}'

    def add(self, path: str, state: str, sha256: str) -> None:
        """Keep what a file held, by the state that it had before it was read."""
        with self._lock:
            self._new.extend((_name(path, state), int(sha256[:16], 16)))
        if len(self._new) >= 2 * _UNSAVED:
            self.save()

    def save(self) -> None:
        """Append what is new to the file; where that cannot be, images are read again later."""
        with self._lock, suppress(OSError):
            new, self._new = self._new, array('Q')
            if not self._path or not new:
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, 'ab') as file:
                file.truncate(file.tell() // _ROW.itemsize * _ROW.itemsize)
                file.write(np.array(new, '<u8').tobytes())


def _name(path: str, state: str) -> int:
    text = f'{os.path.abspath(path)}\t{state}'
    raw = hashlib.blake2b(text.encode(errors='surrogateescape'), digest_size=8).digest()
    return int.from_bytes(raw, 'little')
