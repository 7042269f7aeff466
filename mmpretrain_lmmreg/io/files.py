"""Where caches live, how files are written whole, JSON of others, and names of contents."""

import hashlib
import json
import logging
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import InputError
from .checksums import FIELD, holds_checksum, json_checksum, to_json
from .lock import is_at, try_lock

if TYPE_CHECKING:
    import torch

UNFINISHED = '.part'  # how a file's name ends while it is written


def cache_dir(*names: str) -> Path:
    """A folder of the cache, shared between runs; not created here.

    ``$LMMREG_CACHE/<names>``, by default ``~/.cache/mmpretrain_lmmreg/<names>``. A warning is
    logged, once a process, where others may have put files there: where another user owns one of
    the folders, or all may write.

    Example:
        >>> cache_dir('features').name
        'features'
    """
    folder = _cache_root()
    for name in ('', *names):
        folder /= name
        _warn_if_shared(folder)
    return folder


def _cache_root() -> Path:
    return Path(os.environ.get('LMMREG_CACHE') or '~/.cache/mmpretrain_lmmreg').expanduser()


def _warn_if_shared(folder: Path) -> None:
    with suppress(OSError):  # it does not exist, and will be made as one's own
        state = folder.stat()
        if state.st_uid != os.geteuid():
            _warn(folder, 'belongs to another user')
        elif state.st_mode & 0o002:
            _warn(folder, 'can be written by all users')


@cache
def _warn(folder: Path, problem: str) -> None:
    from mmengine.logging import print_log  # imports torch; this module is read without it

    print_log(
        f'the cache folder {folder} {problem}: others can change what is read there. Set '
        'LMMREG_CACHE to a folder of your own, or correct its owner and mode',
        'current',
        level=logging.WARNING,
    )


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; new ones of the cache are for their owner alone.

    Raises:
        InputError: It cannot be made.
    """
    root = _cache_root()
    try:
        for each in [*reversed(folder.parents), folder]:
            if not each.is_dir():
                each.mkdir(0o700 if each.is_relative_to(root) else 0o777, exist_ok=True)
    except OSError as error:
        raise InputError(
            f'the folder {folder} cannot be made ({error.strerror}): name another one',
            code='io.folder_not_made',
        ) from error


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
    writer left is used again. A link at ``path`` is replaced, its target stays as it is.

    Args:
        path: The file.

    Yields:
        The temporary file, open for writing bytes; ``name`` is its path.

    Example:
        >>> with save_atomic('numbers.txt') as file:
        ...     file.write(b'1 2 3')
    """
    path = Path(path)
    make_folder(path.parent)
    descriptor, temporary = _open_temporary(path)
    with open(temporary, 'wb', opener=lambda *_: descriptor) as file:
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
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(temporary, flags, 0o666)
        if _locked(descriptor, temporary) and os.fstat(descriptor).st_nlink == 1:
            os.ftruncate(descriptor, 0)
            return descriptor, temporary
        os.close(descriptor)
    temporary = path.with_name(f'.{path.name}.{secrets.token_hex(4)}{UNFINISHED}')
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    _locked(descriptor, temporary)
    return descriptor, temporary


def _locked(descriptor: int, path: Path) -> bool:
    """Lock an open file until it is closed; False where another has, or it is not at ``path``."""
    with suppress(OSError):  # the disk knows no locks
        return try_lock(descriptor) and is_at(descriptor, path)
    return False


def remove_unfinished(folder: Path) -> None:
    """Delete what killed writers left in a folder; files that are being written stay."""
    for path in folder.glob(f'.*{UNFINISHED}'):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _locked(descriptor, path):
                    path.unlink()
            finally:
                os.close(descriptor)


def finite(content: Any) -> Any:
    """JSON-able content as JSON has it: numbers that are not finite become None."""
    return json.loads(json.dumps(content, default=str), parse_constant=lambda _: None)


def sealed(content: Mapping[str, Any]) -> bytes:
    """A JSON object with its own checksum, as :func:`read_sealed` takes it; see :func:`finite`."""
    plain = finite(content)
    return to_json({**plain, FIELD: json_checksum(plain)}, indent=1)


def read_sealed(path: Path, form: Any = None) -> dict[str, Any]:
    """The JSON object of a file; one that was written without a checksum is not compared.

    Args:
        path: The file.
        form: What it must look like, see :func:`wrong_part`.

    Raises:
        InputError: it cannot be read, is no JSON object, its checksum is of another one, or it has
            another form; names file and field.
    """
    try:
        text = path.read_bytes().decode(errors='surrogateescape')
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error})', code='io.unreadable') from error
    content = parse_json(text, path)
    if not isinstance(content, dict):
        raise InputError(f'{path} is damaged (it is not a JSON object)', code='io.damaged_json')
    content.pop('checksum', None)  # as earlier versions wrote it
    if not holds_checksum(content):
        raise InputError(f'{path} is damaged (checksum)', code='io.damaged_json')
    check_fields(content, form or {}, path)
    return content


def parse_json(text: str | bytes, where: object) -> Any:
    """A decoded JSON text of others.

    Raises:
        InputError: it is not JSON, nested too deeply, or has a number that is not finite; the
            message begins with ``where``, a file or a line of it.
    """
    try:
        return json.loads(
            text, parse_constant=_finite, parse_float=_finite, parse_int=lambda x: _finite(x, int)
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f'{where} is damaged ({error})', code='io.damaged_json') from error


def _finite(digits: str, kind: type = float) -> Any:
    if not math.isfinite(float(digits)):
        raise ValueError(f'{digits:.30} is no finite number')
    return kind(digits)


def check_fields(content: Any, form: Any, where: object) -> None:
    """Raise InputError where a part of a JSON content has another form; see :func:`wrong_part`."""
    if wrong := wrong_part(content, form):
        raise InputError(f'{where}: {wrong}', code='io.wrong_field')


def wrong_part(content: Any, form: Any) -> str | None:
    """The first part of a JSON content that has another form, in words; None where all fits.

    Args:
        content: What was read.
        form: A type, or several as ``isinstance`` takes them, where a bool is no number; ``[FORM]``
            for a list, ``{str: FORM}`` for an object of any names, ``{'name': FORM}`` for an object
            with these fields; one whose name ends in ``?`` may be absent.

    Example:
        >>> wrong_part({'runs': [{'seed': '0'}]}, {'runs': [{'seed': int}], 'note?': str})
        'field "runs[0].seed" is \\'0\\'; it must be of type int'
    """
    found = _wrong_part(content, form)
    return found and f'field "{found[0].lstrip(".")}" {found[1]}'


def _wrong_part(content: Any, form: Any) -> tuple[str, str] | None:
    if type(content) is form:  # most often; a million lines are read
        return None
    kinds = type(form) if isinstance(form, list | dict) else form
    if not isinstance(content, kinds) or (isinstance(content, bool) and bool is not kinds):
        names = kinds if isinstance(kinds, tuple) else (kinds,)
        wanted = ' or '.join('null' if k is type(None) else k.__name__ for k in names)
        return '', f'is {content!r:.50}; it must be of type {wanted}'
    if isinstance(form, list):
        for i, part in enumerate(content):
            if found := _wrong_part(part, form[0]):
                return f'[{i}]{found[0]}', found[1]
    elif isinstance(form, dict):
        for field, each in form.items():
            for key in content if field is str else [field.rstrip('?')]:
                if key not in content:
                    if field[-1] != '?':
                        return f'.{key}', 'is missing'
                elif found := _wrong_part(content[key], each):
                    return f'.{key}{found[0]}', found[1]
    return None


def digest(content: Any) -> str:
    """Name of a JSON-able content: 16 hex digits that change when it does."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    # half a surrogate pair is in the name of a file that is not UTF-8, and in a reply that was cut
    return hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]


def digest_tensors(tensors: 'Mapping[str, torch.Tensor]') -> str:
    """Name of a set of weights: 16 hex digits over names, dtypes, shapes and bytes."""
    import torch  # late: what a config calls while it is read needs none

    total = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(tensors.items()):
        total.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        total.update(raw.numpy().data)
    return total.hexdigest()
