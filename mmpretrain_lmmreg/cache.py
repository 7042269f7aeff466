"""Where caches live, how files are written whole, and how contents are named."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch


def cache_dir(name: str) -> Path:
    """Folder of a cache, shared between runs; not created here.

    ``$LMMREG_CACHE/<name>``, by default ``~/.cache/mmpretrain_lmmreg/<name>``.
    """
    root = os.environ.get('LMMREG_CACHE') or '~/.cache/mmpretrain_lmmreg'
    return Path(root).expanduser() / name


def fsync_folder(folder: Path) -> None:
    """Make a rename or a new file name in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Write a whole file or none: temporary file, fsync, rename, fsync of the folder.

    The temporary file lies beside ``path`` and is removed if the body raises.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
        with os.fdopen(descriptor, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def digest(content: Any) -> str:
    """Name of a JSON-able content: 16 hex digits that change when it does."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Name of a set of weights: 16 hex digits over names, dtypes, shapes and bytes."""
    total = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(tensors.items()):
        total.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        total.update(raw.numpy().data)
    return total.hexdigest()
