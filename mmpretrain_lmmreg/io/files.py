"""Where caches live, how files are written whole, and how contents are named."""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ..errors import InputError

UNFINISHED = '.part'  # how a file's name ends while it is written
CHECKSUM = 'checksum'  # of a JSON object: the digest of what else is in it


def cache_dir(name: str) -> Path:
    """Folder of a cache, shared between runs; not created here.

    ``$LMMREG_CACHE/<name>``, by default ``~/.cache/mmpretrain_lmmreg/<name>``.
    """
    root = os.environ.get('LMMREG_CACHE') or '~/.cache/mmpretrain_lmmreg'
    return Path(root).expanduser() / name


def __getattr__(name: str) -> Any:  # the old name, while the callers move
    if name == 'atomic_write':
        return save_atomic
    raise AttributeError(name)


def fsync_folder(folder: Path) -> None:
    """Make a rename or a new file name in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def save_atomic(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Write a whole file or none: temporary file, fsync, rename, fsync of the folder.

    The temporary file lies beside ``path`` and is removed if the body raises; one that a killed
    writer left is used again.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = _open_temporary(path)
    with os.fdopen(descriptor, 'wb') as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)  # while it is locked
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    fsync_folder(path.parent)


def _open_temporary(path: Path) -> tuple[int, Path]:
    """Open the locked file that becomes ``path``, or one of another name where that is in use."""
    temporary = path.with_name(f'.{path.name}{UNFINISHED}')
    with suppress(OSError):  # another user's, say
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        if _lock(descriptor, temporary):
            os.ftruncate(descriptor, 0)
            return descriptor, temporary
        os.close(descriptor)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    os.fchmod(descriptor, 0o666 & ~_umask())
    return descriptor, Path(name)


def _lock(descriptor: int, path: Path) -> bool:
    """Lock an open file until it is closed; False where another has, or it is not at ``path``."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return is_at(descriptor, path)


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at ``path``, which may be removed or replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def remove_unfinished(folder: Path) -> None:
    """Delete what killed writers left in a folder; files that are being written stay."""
    for path in folder.glob(f'.*{UNFINISHED}'):
        with suppress(OSError), open(path, 'rb') as file:
            if _lock(file.fileno(), path):
                path.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sealed(content: Mapping[str, Any]) -> bytes:
    """A JSON object with its own checksum, as :func:`read_sealed` takes it."""
    content = json.loads(json.dumps(content, ensure_ascii=False, default=str))
    text = json.dumps({**content, CHECKSUM: digest(content)}, indent=1, ensure_ascii=False)
    return text.encode(errors='surrogateescape')


def read_sealed(path: Path) -> dict:
    """The JSON object of a file; one that was written without a checksum is not compared.

    Raises:
        InputError: it cannot be read, is no JSON object, or its checksum is of another one.
    """
    try:
        content = json.loads(path.read_bytes().decode(errors='surrogateescape'))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f'{path} is damaged ({error})') from error
    if not isinstance(content, dict):
        raise InputError(f'{path} is damaged (it is no JSON object)')
    checksum = content.pop(CHECKSUM, None)
    if checksum is not None and checksum != digest(content):
        raise InputError(f'{path} is damaged (checksum)')
    return content


def digest(content: Any) -> str:
    """Name of a JSON-able content: 16 hex digits that change when it does."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    try:
        encoded = text.encode(errors='surrogateescape')
    except UnicodeEncodeError:  # half a surrogate pair, as in a reply that was cut
        encoded = text.encode(errors='surrogatepass')
    return hashlib.sha256(encoded).hexdigest()[:16]


def digest_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Name of a set of weights: 16 hex digits over names, dtypes, shapes and bytes."""
    total = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(tensors.items()):
        total.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        total.update(raw.numpy().data)
    return total.hexdigest()
