"""Checkpoints are read as data: a list of allowed classes, and nothing in them is run."""

import codecs
import contextlib
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from torch.serialization import add_safe_globals, get_safe_globals

from ..errors import InputError, MissingInputError
from .checkpoints import check_whole
from .files import wrong_part

TRUST = 'LMMREG_TRUST_CHECKPOINTS'  # 1: old files that the user trusts may hold any class

# how torch says that a file names something that is not allowed
_REFUSED = re.compile(
    r'(GLOBAL \S+) (?:was not an allowed|whose module)|(?:unrecognized function|but got) (.+)'
)
# What its fields must look like, where they are there; see wrong_part
FORM = {
    'meta?': {
        'epoch?': int,
        'iter?': int,
        'seed?': (int, type(None)),
        'dataset_meta?': {'classes?': (list, tuple, type(None))},
    },
    'message_hub?': {'log_scalars': dict, 'runtime_info': dict, 'resumed_keys': dict},
    'optimizer?': dict,
}
_NUMBERS = (np.bool_, np.int32, np.int64, np.uint8, np.uint32, np.float32, np.float64)


def allowed_globals() -> list[Any]:
    """What a checkpoint may name beside torch's own list of weights' classes.

    mmengine keeps its message hub beside the weights: smoothed log values as NumPy arrays and
    scalars, under the module names of NumPy 1 or 2. A scalar's bytes are text that is encoded,
    which torch 2.4 does not allow by itself.
    """
    multiarray = (np._core if hasattr(np, '_core') else np.core).multiarray
    functions = [
        _renamed(call, f'numpy.{core}.multiarray', call.__name__)
        for call in (multiarray._reconstruct, multiarray.scalar)
        for core in ('core', '_core')
    ]
    functions += [_renamed(_statistic, module, 'getattr') for module in ('builtins', '__builtin__')]
    dtypes = [type(np.dtype(number)) for number in _NUMBERS]
    return [HistoryBuffer, np.ndarray, np.dtype, codecs.encode, *dtypes, *functions]


def _renamed(call: Callable, module: str, name: str) -> Callable:
    """``call`` as a function that torch knows by another name; older torch takes no aliases."""

    def function(*args: Any) -> Any:
        return call(*args)

    function.__module__, function.__name__, function.__qualname__ = module, name, name
    return function


def _statistic(owner: Any, name: str) -> Any:
    """Stand in for ``getattr`` in a checkpoint, which names HistoryBuffer's methods by it."""
    if owner is not HistoryBuffer or name.startswith('_'):
        raise ValueError(f'a checkpoint may not read the attribute {name!r} of {owner!r}')
    return getattr(owner, name)


def read_checkpoint(filename: str | Path, map_location: Any = None) -> dict[str, Any]:
    """Load a checkpoint as data: nothing in it is run, and its fields have the types they should.

    The file's checksums are verified first. ``meta['config']``, which mmengine would execute on
    ``--resume``, is left out. ``LMMREG_TRUST_CHECKPOINTS=1`` lets the file name any class.

    Args:
        filename: A file, or an http address, which torch.hub's folder keeps.
        map_location: See ``torch.load``.

    Returns:
        The checkpoint, with ``state_dict`` and ``meta`` at least. A file of bare weights becomes
        the ``state_dict``.

    Raises:
        MissingInputError: There is no such file.
        InputError: It is damaged, holds more than weights, numbers and log values, a field has
            another type, a weight is not finite, or it is an address of another kind.

    Example:
        >>> from mmpretrain_lmmreg.io.trusted import read_checkpoint
        >>> read_checkpoint('work_dirs/demo/epoch_100.pth')['meta']['epoch']  # doctest: +SKIP
        100
    """
    filename = str(filename)
    trusted = os.environ.get(TRUST) == '1'
    how = dict(map_location=map_location, weights_only=not trusted)
    if trusted:
        print_log(f'{filename} is loaded unrestricted, because {TRUST}=1', 'current', logging.WARN)
    with _allowing(allowed_globals()):
        try:
            if filename.startswith(('http://', 'https://')):
                content = torch.hub.load_state_dict_from_url(filename, **how)
            else:
                filename = os.path.expanduser(filename)
                _check_file(filename)
                content = torch.load(filename, **how)
        except (InputError, MemoryError, OSError):
            raise
        except Exception as error:  # an unpickler's errors are of any kind
            raise _refusal(filename, error) from error
    return _checked(filename, content)


def _check_file(filename: str) -> None:
    if '://' in filename:
        raise InputError(
            f'{filename}: download this checkpoint and give the file',
            code='runner.checkpoint_address',
        )
    if not os.path.isfile(filename):
        raise MissingInputError(
            f'checkpoint: there is no file {filename}', code='config.no_checkpoint'
        )
    check_whole(filename)


def _allowing(more: list[Any]) -> Any:
    """Context in which torch's unpickler takes more classes; torch 2.4 takes them for good."""
    if hasattr(torch.serialization, 'safe_globals'):
        known = get_safe_globals()  # which the context would remove at its end
        return torch.serialization.safe_globals([each for each in more if each not in known])
    add_safe_globals(more)
    return contextlib.nullcontext()


def _refusal(filename: str, error: Exception) -> InputError:
    named = _REFUSED.search(str(error))
    if named or isinstance(error, ValueError):
        what = f'names {named[1] or named[2]}' if named else str(error)
        return InputError(
            f'{filename} is refused: it holds more than weights and log values ({what}), which '
            f'could run any code. If you made it yourself, or trust who did, set {TRUST}=1',
            code='runner.checkpoint_unsafe',
        )
    said = str(error).rpartition('WeightsUnpickler error:')[2].strip() or 'no pickle'
    return InputError(
        f'{filename} is damaged, or no checkpoint ({type(error).__name__}: {said.splitlines()[0]});'
        ' take another one of the run, or train again',
        code='runner.checkpoint_damaged',
    )


def _is_weights(field: Any) -> bool:
    return isinstance(field, dict) and all(
        isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_quantized
        and not value.is_meta
        for name, value in field.items()
    )


def _checked(filename: str, content: Any) -> dict[str, Any]:
    """The checkpoint, if its fields have the right types and its weights are finite."""
    if _is_weights(content) and content:
        content = dict(state_dict=content)
    if not isinstance(content, dict):
        content = {}
    fields = {name: field for name, field in content.items() if field is not None}
    weights = {name: fields.get(name, {}) for name in ('state_dict', 'ema_state_dict')}
    wrong = wrong_part(fields, FORM) if 'state_dict' in fields else 'it holds no state_dict'
    for name, state in weights.items():
        if not wrong and not _is_weights(state):
            wrong = f'field "{name}" must hold weights by name'
    if wrong:
        raise InputError(
            f'{filename} is no checkpoint of tools/train.py, or damaged: {wrong}; take another one '
            'of the run',
            code='runner.checkpoint_form',
        )
    for name, value in (pair for state in weights.values() for pair in state.items()):
        if not value.isfinite().all():
            raise InputError(
                f'{filename} is damaged, or its training diverged: the weight {name} holds a '
                'value that is not finite; take an earlier checkpoint of the run, or train again',
                code='runner.checkpoint_not_finite',
            )
    fields.setdefault('meta', {}).pop('config', None)
    return fields
