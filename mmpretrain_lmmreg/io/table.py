"""Float vectors on disk, one row a key: trunk features by image, embeddings by text."""

import json
import logging
import math
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from safetensors.torch import save

from ..errors import InputError
from .checksums import FIELD, checksum, file_checksum, json_checksum
from .files import cache_dir, digest, remove_unfinished, save_atomic

AT_A_TIME = 4096  # rows that are looked at
IN_MEMORY = 2**30  # bytes of rows up to which all are read at once

_DTYPES = {'F64': torch.float64, 'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16}
# A chunk that cannot be read, and one that was read and is wrong
WRONG = (OSError, MemoryError, LookupError, TypeError, ValueError, RecursionError)
_OURS = re.compile(r'\d{6,}-\d+-[0-9a-f]{32}\.safetensors')


class _Chunk(NamedTuple):
    path: Path
    keys: list[str]
    dim: int
    dtype: torch.dtype
    offset: int  # of the first row in the file
    checksum: str  # of the rows


class VectorTable:
    """Rows of a folder of chunk files; chunks are added whole and never rewritten.

    A kill loses at most the rows that were not yet added; several processes may add to the
    same table at once. Each chunk is a safetensors file with ``rows`` (n, D) and, as metadata,
    the JSON list of its n keys and two checksums: of keys and form, compared when the table is
    opened, and of the rows, compared when one of them is first asked for. A chunk whose content
    is wrong is named in the log and deleted; one that cannot be read is named and left. The rows
    of both are missing then. Files of other names, and links, are not looked at.

    ``about.json`` says what the rows were made from; the folder's name is its digest, so a table
    made from anything else is another table.

    Args:
        kind: Name of the cache, a folder below :func:`cache_dir`.
        about: JSON-able description of everything but the key that determines a row.

    Example:
        >>> table = VectorTable('texts', {'model': 'ViT-L-14'})
        >>> table.add(['A dog.'], torch.ones(1, 768))
        >>> table.stored(['A dog.']).in_memory().shape
        torch.Size([1, 768])
    """

    def __init__(self, kind: str, about: Mapping[str, Any]) -> None:
        self.folder = cache_dir(kind, digest(about))
        if not (self.folder / 'about.json').exists():
            with save_atomic(self.folder / 'about.json') as file:
                file.write(json.dumps(about, indent=2, default=str).encode())
        remove_unfinished(self.folder)  # chunks' names are never used again
        self._seen: set[Path] = set()
        self._chunks: list[_Chunk] = []
        self._unchecked: set[int] = set()  # numbers of chunks whose rows were not yet compared
        self._starts = [0]  # number of each chunk's first row, and of the row behind the last
        self._rows: dict[str, int] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take up the chunks that other processes have added."""
        for path in sorted(set(self.folder.glob('*.safetensors')) - self._seen):
            self._seen.add(path)
            if not _OURS.fullmatch(path.name) or path.is_symlink():
                continue
            try:
                self._index(_read_header(path))
            except WRONG as error:
                _pass_over(path, error)

    def _index(self, chunk: _Chunk) -> None:
        start = self._starts[-1]
        self._starts.append(start + len(chunk.keys))
        self._rows.update(zip(chunk.keys, range(start, self._starts[-1]), strict=True))
        self._unchecked.add(len(self._chunks))
        self._chunks.append(chunk)

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
        if not self._unchecked:
            return
        rows = np.array([self._rows[key] for key in set(keys) if key in self._rows], np.int64)
        asked = np.unique(np.searchsorted(self._starts, rows, side='right') - 1).tolist()
        lost: set[int] = set()
        for number in self._unchecked.intersection(asked):
            self._unchecked.discard(number)
            chunk = self._chunks[number]
            try:
                if file_checksum(chunk.path, chunk.offset) == chunk.checksum:
                    continue
                raise ValueError('checksum of its rows')
            except WRONG as error:
                _pass_over(chunk.path, error)
            lost.update(range(self._starts[number], self._starts[number + 1]))
        if lost:
            self._rows = {key: row for key, row in self._rows.items() if row not in lost}

    def add(self, keys: Sequence[str], rows: torch.Tensor) -> None:
        """Keep ``rows`` (n, D) under n ``keys``, durably."""
        if len(keys) != len(rows):
            raise ValueError(f'{len(keys)} keys for {len(rows)} rows')
        rows = rows.cpu().contiguous()
        dtype = next(name for name, each in _DTYPES.items() if each == rows.dtype)
        total = checksum(rows.view(torch.uint8).numpy().data)
        about = chunk_metadata(keys, list(rows.shape), dtype, total)
        path = self.folder / f'{len(self._chunks):06d}-{os.getpid()}-{uuid.uuid4().hex}.safetensors'
        with save_atomic(path) as file:
            content = save({'rows': rows}, about)
            file.write(content)
        offset = 8 + int.from_bytes(content[:8], 'little')
        self._seen.add(path)
        self._index(_Chunk(path, list(keys), rows.shape[1], rows.dtype, offset, total))
        self._unchecked.discard(len(self._chunks) - 1)

    def stored(self, keys: Sequence[str]) -> 'StoredRows':
        """Rows of ``keys``, (n, D), that stay on disk; a key without a row is a KeyError."""
        self._check(keys)
        rows = np.fromiter((self._rows[key] for key in keys), np.int64, len(keys))
        return StoredRows(rows, np.array(self._starts), self._chunks)


class StoredRows:
    """Rows on disk, read by index: indexed by n numbers, it gives (n, D) in memory.

    They are read one by one, since the pages of a memory map would stay resident.
    """

    def __init__(self, rows: np.ndarray, starts: np.ndarray, chunks: list[_Chunk]) -> None:
        self.rows, self.starts, self.chunks = rows, starts, chunks
        self.dim, self.dtype = (chunks[-1].dim, chunks[-1].dtype) if chunks else (0, torch.float32)

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
            chunk = self.chunks[number]
            with open(chunk.path, 'rb', buffering=0) as file:
                for place in np.flatnonzero(numbers == number):
                    row = int(rows[place] - self.starts[number])
                    file.seek(chunk.offset + row * raw.shape[1])
                    if file.readinto(raw[place]) != raw.shape[1]:
                        raise InputError(
                            f'{chunk.path} was cut while it was in use: run again',
                            code='io.chunk_was_cut',
                        )
        return out


def not_finite(rows: torch.Tensor) -> list[int]:
    """Numbers of the rows (n, D) that hold a value which is not finite."""
    finite = [part.isfinite().all(dim=1) for part in rows.split(AT_A_TIME)]
    return (~torch.cat(finite)).nonzero().flatten().tolist()


def chunk_metadata(
    keys: Sequence[str], shape: Sequence[int], dtype: str, total: str
) -> dict[str, str]:
    """Metadata of a chunk; ``shape`` and ``dtype`` as safetensors', the checksum of its rows."""
    about = {'keys': json.dumps(list(keys)), 'rows': total}
    return {**about, FIELD: json_checksum({**about, 'shape': list(shape), 'dtype': dtype})}


def _read_header(path: Path) -> _Chunk:
    """What a chunk says of its rows, compared with its checksum; raises one of ``WRONG``."""
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), 'little')
        if 8 + length > size:
            raise ValueError('cut')
        header = json.loads(file.read(length))
    about, form = header['__metadata__'], header['rows']
    shape, dtype, keys = form['shape'], form['dtype'], json.loads(about['keys'])
    if about != chunk_metadata(keys, shape, dtype, about['rows']):
        raise ValueError('checksum of its keys')
    end = math.prod(shape) * _DTYPES[dtype].itemsize
    if form['data_offsets'] != [0, end] or size != 8 + length + end:
        raise ValueError('cut')
    return _Chunk(path, keys, shape[1], _DTYPES[dtype], 8 + length, about['rows'])


def _pass_over(path: Path, error: BaseException) -> None:
    """Name a chunk whose rows are computed again; one that was read and is wrong is deleted."""
    if isinstance(error, FileNotFoundError):  # another process found it damaged
        return
    if isinstance(error, OSError | MemoryError):
        text = f'cannot be read ({error}) and is left as it is'
    else:
        text = f'is damaged ({error}) and is deleted'
        path.unlink(missing_ok=True)
    print_log(f'{path} {text}; its rows are computed again', 'current', level=logging.WARNING)
