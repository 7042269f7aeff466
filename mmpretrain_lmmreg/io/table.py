"""Float vectors on disk, one row a key: trunk features by image, embeddings by text."""

import json
import logging
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from mmengine.logging import print_log
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..errors import InputError
from .checksums import crc_of
from .files import cache_dir, digest, remove_unfinished, save_atomic

AT_A_TIME = 4096  # rows that are looked at
IN_MEMORY = 2**30  # bytes of rows up to which all are read at once

_DTYPES = {'F64': torch.float64, 'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16}


class VectorTable:
    """Rows of a folder of chunk files; chunks are added whole and never rewritten.

    A kill loses at most the rows that were not yet added; several processes may add to the
    same table at once. Each chunk is a safetensors file with ``rows`` (n, D) and, as metadata,
    the JSON list of its n keys and two CRC-32: of keys and form, checked when the table is opened,
    and of the rows, checked when one of them is first asked for. A damaged chunk is named in the
    log and deleted; its rows are missing then. ``about.json`` says what the rows were made from;
    the folder's name is its digest, so a table made from anything else is another table.

    Args:
        kind: Name of the cache, a folder below :func:`cache_dir`.
        about: JSON-able description of everything but the key that determines a row.
    """

    def __init__(self, kind: str, about: Mapping[str, Any]) -> None:
        self.folder = cache_dir(kind) / digest(about)
        if not (self.folder / 'about.json').exists():
            with save_atomic(self.folder / 'about.json') as file:
                file.write(json.dumps(about, indent=2, default=str).encode())
        remove_unfinished(self.folder)  # chunks' names are never used again
        self._chunks: list[Path] = []
        self._offsets: list[int] = []  # of the first row in each chunk's file
        self._sums: list[int | None] = []  # of each chunk's rows; None once they were checked
        self._starts = [0]  # number of each chunk's first row, and of the row behind the last
        self._rows: dict[str, int] = {}
        self._form = (0, torch.float32)
        self.refresh()

    def refresh(self) -> None:
        """Take up the chunks that other processes have added."""
        for path in sorted(set(self.folder.glob('*.safetensors')) - set(self._chunks)):
            try:
                self._index(path)
            except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
                _delete(path, str(error))

    def _index(self, path: Path, checked: bool = False) -> None:
        with safe_open(path, 'pt') as chunk:
            about, rows = chunk.metadata(), chunk.get_slice('rows')
            keys, shape, dtype = json.loads(about['keys']), rows.get_shape(), rows.get_dtype()
        if about != chunk_metadata(keys, shape, dtype, int(about['sum'])):
            raise ValueError('checksum of its keys')
        with open(path, 'rb') as file:
            offset = 8 + int.from_bytes(file.read(8), 'little')
        self._form = (shape[1], _DTYPES[dtype])
        self._chunks.append(path)
        self._offsets.append(offset)
        self._sums.append(None if checked else int(about['sum']))
        self._rows.update(
            zip(keys, range(self._starts[-1], self._starts[-1] + len(keys)), strict=True)
        )
        self._starts.append(self._starts[-1] + len(keys))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those of ``keys`` without an undamaged row, each once, in their order."""
        self._check(keys)
        return [key for key in dict.fromkeys(keys) if key not in self._rows]

    def _check(self, keys: Sequence[str]) -> None:
        """Compare the rows of the keys' chunks with their checksums, and forget damaged ones."""
        if all(total is None for total in self._sums):
            return
        rows = np.array([self._rows[key] for key in set(keys) if key in self._rows], np.int64)
        damaged = []
        for number in np.unique(np.searchsorted(self._starts, rows, side='right') - 1).tolist():
            expected, self._sums[number] = self._sums[number], None
            path, offset = self._chunks[number], self._offsets[number]
            if expected is not None and not _is_whole(path, offset, expected):
                _delete(path, 'checksum of its rows')
                damaged.append(range(self._starts[number], self._starts[number + 1]))
        if damaged:
            lost = {row for rows_ in damaged for row in rows_}
            self._rows = {key: row for key, row in self._rows.items() if row not in lost}

    def add(self, keys: Sequence[str], rows: torch.Tensor) -> None:
        """Keep ``rows`` (n, D) under n ``keys``, durably."""
        if len(keys) != len(rows):
            raise ValueError(f'{len(keys)} keys for {len(rows)} rows')
        rows = rows.cpu().contiguous()
        dtype = next(name for name, each in _DTYPES.items() if each == rows.dtype)
        total = crc32(rows.view(torch.uint8).numpy().data)
        about = chunk_metadata(keys, list(rows.shape), dtype, total)
        path = self.folder / f'{len(self._chunks):06d}-{os.getpid()}-{uuid.uuid4().hex}.safetensors'
        with save_atomic(path) as file:
            file.write(save({'rows': rows}, about))
        self._index(path, checked=True)

    def stored(self, keys: Sequence[str]) -> 'StoredRows':
        """Rows of ``keys``, (n, D), that stay on disk; a key without a row is a KeyError."""
        self._check(keys)
        rows = np.fromiter((self._rows[key] for key in keys), np.int64, len(keys))
        return StoredRows(rows, np.array(self._starts), self._chunks, self._offsets, *self._form)


class StoredRows:
    """Rows on disk, read by index: indexed by n numbers, it gives (n, D) in memory.

    They are read one by one, since the pages of a memory map would stay resident.
    """

    def __init__(
        self,
        rows: np.ndarray,
        starts: np.ndarray,
        chunks: list[Path],
        offsets: list[int],
        dim: int,
        dtype: torch.dtype,
    ) -> None:
        self.rows, self.starts, self.chunks, self.offsets = rows, starts, chunks, offsets
        self.dim, self.dtype = dim, dtype

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """What the rows would take in memory."""
        return len(self) * self.dim * self.dtype.itemsize

    def in_memory(self) -> torch.Tensor:
        """All rows, (n, D)."""
        return self[range(len(self))]

    def if_small(self) -> 'torch.Tensor | StoredRows':
        """All rows in memory where they take a GiB or less, else as they are."""
        return self.in_memory() if self.nbytes <= IN_MEMORY else self

    def split(self, size: int) -> Iterator[torch.Tensor]:
        """The rows in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self[range(start, min(start + size, len(self)))]

    def __getitem__(self, indices: Sequence[int] | torch.Tensor) -> torch.Tensor:
        rows = self.rows[np.asarray(indices, np.int64)]
        numbers = np.searchsorted(self.starts, rows, side='right') - 1
        out = torch.empty(len(rows), self.dim, dtype=self.dtype)
        raw = out.view(torch.uint8).numpy()
        for number in np.unique(numbers):
            with open(self.chunks[number], 'rb', buffering=0) as file:
                for place in np.flatnonzero(numbers == number):
                    row = int(rows[place] - self.starts[number])
                    file.seek(self.offsets[number] + row * raw.shape[1])
                    if file.readinto(raw[place]) != raw.shape[1]:
                        raise InputError(f'{self.chunks[number]} was cut while it was in use')
        return out


def not_finite(rows: torch.Tensor) -> list[int]:
    """Numbers of the rows (n, D) that hold a value which is not finite."""
    finite = [part.isfinite().all(dim=1) for part in rows.split(AT_A_TIME)]
    return (~torch.cat(finite)).nonzero().flatten().tolist()


def chunk_metadata(
    keys: Sequence[str], shape: Sequence[int], dtype: str, total: int
) -> dict[str, str]:
    """What a chunk says of its rows: ``shape`` and ``dtype`` as safetensors', CRC-32 ``total``."""
    text = json.dumps(list(keys))
    head = crc32(f'{text} {shape} {dtype} {total}'.encode())
    return dict(keys=text, sum=str(total), head=str(head))


def _is_whole(path: Path, offset: int, total: int) -> bool:
    """Whether a chunk's rows, which begin at ``offset``, have the CRC-32 ``total``."""
    try:
        return crc_of(path, offset) == total
    except FileNotFoundError:  # another process found it damaged
        return False


def _delete(path: Path, reason: str) -> None:
    print_log(
        f'{path} is damaged ({reason}) and is deleted; its rows are computed again',
        'current',
        level=logging.WARNING,
    )
    path.unlink(missing_ok=True)
