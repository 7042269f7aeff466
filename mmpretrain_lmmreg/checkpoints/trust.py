"""Checkpoints are read as data: a list of allowed classes, and nothing in them is run."""

import codecs
import logging
import os
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log

from ..errors import InputError, MissingInputError
from .files import check_whole

TRUST = 'LMMREG_TRUST_CHECKPOINTS'  # 1: old files that the user trusts may hold any class

# how torch says that a file names something that is not allowed
_REFUSED = re.compile(
    r'(GLOBAL \S+) (?:was not an allowed|whose module)|(?:unrecognized function|but got) (.+)'
)
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


def trusted() -> bool:
    """Whether the user vouches for the files of this process."""
    return os.environ.get(TRUST) == '1'


def read_checkpoint(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint file, checked against its digest, without running code from it.

    ``meta['config']``, which mmengine would execute on ``--resume``, is left out.

    Raises:
        MissingInputError: there is no such file.
        InputError: it is damaged, or holds more than weights, numbers and log values.
    """
    filename = os.path.expanduser(filename)
    if not os.path.isfile(filename):
        raise MissingInputError(f'checkpoint: there is no file {filename}')
    check_whole(filename)
    if trusted():
        print_log(f'{filename} is loaded unrestricted, because {TRUST}=1', 'current', logging.WARN)
    try:
        checkpoint = torch.load(filename, map_location=map_location, weights_only=not trusted())
    except MemoryError:
        raise
    except Exception as error:  # an unpickler's errors are of any kind
        raise InputError(_reason(filename, error)) from error
    return without_config(checkpoint)


def _reason(filename: str, error: Exception) -> str:
    named = _REFUSED.search(str(error))
    if named or isinstance(error, ValueError):
        what = f'names {named[1] or named[2]}' if named else str(error)
        return (
            f'{filename} is refused: it holds more than weights and log values ({what}), which '
            f'could run any code. If you made it yourself, or trust who did, set {TRUST}=1'
        )
    said = str(error).rpartition('WeightsUnpickler error:')[2].strip() or 'no pickle'
    return (
        f'{filename} is damaged, or no checkpoint ({type(error).__name__}: {said.splitlines()[0]});'
        ' take another one of the run, or train again'
    )


def without_config(checkpoint: Any) -> Any:
    """The checkpoint less ``meta['config']``, the text that mmengine executes when it resumes."""
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)
    return checkpoint


def read_url(url: str, model_dir: Any = None, map_location: Any = None, progress: bool = True):
    """:func:`read_checkpoint` of an http address, kept in torch.hub's folder."""
    try:
        loaded = torch.hub.load_state_dict_from_url(
            url, model_dir, map_location, progress, weights_only=not trusted()
        )
    except (pickle.UnpicklingError, ValueError) as error:
        raise InputError(_reason(url, error)) from error
    return without_config(loaded)


def refuse_scheme(filename: str, map_location: Any = None) -> Any:
    """Raise InputError: mmengine reads this kind of address without a restriction."""
    raise InputError(f'{filename}: download this checkpoint and give the file')
