"""Float vectors on disk, one row a key: trunk features by image, embeddings by text."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .cache import atomic_write, cache_dir, digest
from .errors import InputError

_DTYPES = {'F64': torch.float64, 'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16}


class VectorTable:
    """Rows of a folder of chunk files; chunks are added whole and never rewritten.

    A kill loses at most the rows that were not yet added; several processes may add to the
    same table at once. Each chunk is a safetensors file with ``rows`` (n, D) and, as metadata,
    the JSON list of its n keys. ``about.json`` says what the rows were made from; the folder's
    name is its digest, so a table made from anything else is another table.

    Args:
        kind: Name of the cache, a folder below :func:`cache_dir`.
        about: JSON-able description of everything but the key that determines a row.
    """

    def __init__(self, kind: str, about: Mapping[str, Any]) -> None:
        self.folder = cache_dir(kind) / digest(about)
        if not (self.folder / 'about.json').exists():
            with atomic_write(self.folder / 'about.json') as file:
                file.write(json.dumps(about, indent=2, default=str).encode())
        self._chunks: list[Path] = []
        self._offsets: list[int] = []  # of the first row in each chunk's file
        self._starts = [0]  # number of each chunk's first row, and of the row behind the last
        self._rows: dict[str, int] = {}
        self._form = (0, torch.float32)
        self.refresh()

    def refresh(self) -> None:
        """Take up the chunks that other processes have added."""
        for path in sorted(set(self.folder.glob('*.safetensors')) - set(self._chunks)):
            self._index(path)

    def _index(self, path: Path) -> None:
        with _open(path) as chunk:
            keys = json.loads(chunk.metadata()['keys'])
            rows = chunk.get_slice('rows')
            self._form = (rows.get_shape()[1], _DTYPES[rows.get_dtype()])
        with open(path, 'rb') as file:
            self._offsets.append(8 + int.from_bytes(file.read(8), 'little'))
        self._chunks.append(path)
        self._rows.update(
            zip(keys, range(self._starts[-1], self._starts[-1] + len(keys)), strict=True)
        )
        self._starts.append(self._starts[-1] + len(keys))

    def __len__(self) -> int:
        return len(self._rows)

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those of ``keys`` without a row, each once, in their order."""
        return [key for key in dict.fromkeys(keys) if key not in self._rows]

    def add(self, keys: Sequence[str], rows: torch.Tensor) -> None:
        """Keep ``rows`` (n, D) under n ``keys``, durably."""
        if len(keys) != len(rows):
            raise ValueError(f'{len(keys)} keys for {len(rows)} rows')
        path = self.folder / f'{len(self._chunks):06d}-{os.getpid()}-{uuid.uuid4().hex}.safetensors'
        with atomic_write(path) as file:
            file.write(save({'rows': rows.cpu().contiguous()}, {'keys': json.dumps(list(keys))}))
        self._index(path)

    def read(self, keys: Sequence[str]) -> torch.Tensor:
        """Rows of ``keys``, (n, D) in memory; a key without a row is a KeyError."""
        return self.stored(keys)[range(len(keys))]

    def stored(self, keys: Sequence[str]) -> 'StoredRows':
        """Rows of ``keys``, (n, D), that stay on disk; a key without a row is a KeyError."""
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


def _open(path: Path):
    try:
        return safe_open(path, 'pt')
    except SafetensorError as error:
        raise InputError(
            f'{path} is damaged ({error}); delete it, its rows will be computed again'
        ) from error
