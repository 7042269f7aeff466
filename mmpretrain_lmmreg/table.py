"""Float vectors on disk, one row a key: trunk features by image, embeddings by text."""
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .cache import atomic_write, cache_dir, digest
from .errors import InputError


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
        self._where: dict[str, tuple[int, int]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take up the chunks that other processes have added."""
        for path in sorted(set(self.folder.glob('*.safetensors')) - set(self._chunks)):
            with _open(path) as chunk:
                self._index(path, json.loads(chunk.metadata()['keys']))

    def _index(self, path: Path, keys: Sequence[str]) -> None:
        number = len(self._chunks)
        self._chunks.append(path)
        self._where.update((key, (number, row)) for row, key in enumerate(keys))

    def __len__(self) -> int:
        return len(self._where)

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those of ``keys`` without a row, each once, in their order."""
        return [key for key in dict.fromkeys(keys) if key not in self._where]

    def add(self, keys: Sequence[str], rows: torch.Tensor) -> None:
        """Keep ``rows`` (n, D) under n ``keys``, durably."""
        if len(keys) != len(rows):
            raise ValueError(f'{len(keys)} keys for {len(rows)} rows')
        path = self.folder / f'{len(self._chunks):06d}-{os.getpid()}-{uuid.uuid4().hex}.safetensors'
        with atomic_write(path) as file:
            file.write(save({'rows': rows.cpu().contiguous()}, {'keys': json.dumps(list(keys))}))
        self._index(path, keys)

    def read(self, keys: Sequence[str]) -> torch.Tensor:
        """Rows of ``keys``, (n, D) in memory; a key without a row is a KeyError."""
        wanted: dict[int, list[tuple[int, int]]] = {}
        for position, key in enumerate(keys):
            number, row = self._where[key]
            wanted.setdefault(number, []).append((position, row))
        out = None
        for number, pairs in sorted(wanted.items()):
            with _open(self._chunks[number]) as chunk:
                rows = chunk.get_tensor('rows')
            positions, sources = (torch.tensor(column) for column in zip(*pairs, strict=True))
            if out is None:
                out = rows.new_empty(len(keys), rows.shape[1])
            out[positions] = rows[sources]
        return torch.empty(0, 0) if out is None else out


def _open(path: Path):
    try:
        return safe_open(path, 'pt')
    except SafetensorError as error:
        raise InputError(f'{path} is damaged ({error}); delete it, its rows will be '
                         'computed again') from error
