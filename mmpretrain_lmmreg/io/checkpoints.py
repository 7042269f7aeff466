"""Checkpoint files: written whole, verified, the newest whole one, and weights put into a model."""

import logging
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from ..errors import InputError
from .files import UNFINISHED, fsync_folder

LAST = 'last_checkpoint'
_NUMBERED = re.compile(r'_(\d+)\.pth$')


@contextmanager
def saved_whole(path: Path) -> Iterator[Path]:
    """Let a file appear whole or not at all: the body writes another one beside it.

    Args:
        path: The file.

    Yields:
        Where the body writes. It is synced and renamed, or removed if the body raises.

    Raises:
        InputError: The disk is full or not writable.
    """
    unfinished = path.with_name(f'.{path.name}{UNFINISHED}')
    try:
        unfinished.unlink(missing_ok=True)  # a killed run's, or a link
        try:
            yield unfinished
            with open(unfinished, 'rb') as file:
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        fsync_folder(path.parent)
    except OSError as error:
        raise InputError(
            f'the checkpoint {path} cannot be written ({error.strerror}); what was written '
            'before it is kept. Correct this, then continue with --resume',
            code='runner.checkpoint_not_written',
        ) from error


def check_whole(path: str | Path) -> None:
    """Raise InputError where a checkpoint is cut or a bit of it has flipped.

    torch writes a checksum of each part into the file. Files of torch before 1.6 have none.
    """
    with open(path, 'rb') as file:
        zipped = file.read(4) == b'PK\x03\x04'
    problem = ''
    if not zipped:
        problem = '' if os.path.getsize(path) else 'it is empty'
    else:
        try:
            with zipfile.ZipFile(path) as archive:
                bad = archive.testzip()
            problem = f'the checksum of its part {bad} is wrong' if bad else ''
        except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
            problem = f'it is cut or overwritten ({error})'
    if problem:
        raise InputError(
            f'{path} is damaged: {problem}; take another checkpoint of the run, or train again',
            code='runner.checkpoint_damaged',
        )


def newest_whole(folder: str | Path) -> str | None:
    """The newest whole checkpoint of a work folder; those passed over are named. None: no file.

    Newer than the one that ``last_checkpoint`` names is one with a later time and a larger number,
    as a run leaves it that was killed in between.

    Raises:
        InputError: there are checkpoints, and all are damaged.
    """
    problems = []
    for path in _newest_first(Path(folder), _named(Path(folder))):
        try:
            check_whole(path)
        except InputError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            print_log(f'{problem}. It is passed over', 'current', logging.WARN)
        return str(path)
    if problems:
        raise InputError(
            f'--resume: no checkpoint of {folder} is whole. '
            + '; '.join(problems)
            + '. Remove them to train from the start',
            code='runner.no_whole_checkpoint',
        )
    print_log(f'{folder} has no checkpoint: training begins at the start', 'current')
    return None


def _named(folder: Path) -> Path | None:
    """The file that ``last_checkpoint`` names, in its folder first: that may have been moved."""
    last = folder / LAST
    named = Path(last.read_text('utf-8', 'replace').strip()) if last.is_file() else Path()
    if not named.name:
        return None
    for path in (folder / named.name, named):
        if path.is_file():
            return path
    print_log(f'{last} names {named}, which does not exist', 'current', logging.WARN)
    return None


def _newest_first(folder: Path, named: Path | None) -> list[Path]:
    where = {folder, named.parent} if named else {folder}
    found = {p.resolve(): p for place in where for p in place.glob('*_*.pth') if _step(p) >= 0}
    if named:
        found.pop(named.resolve(), None)
    rest = [path for path in found.values() if not path.name.startswith('best_')]
    rest.sort(key=lambda path: (path.stat().st_mtime_ns, _step(path)), reverse=True)
    if not named:
        return rest
    time, step = named.stat().st_mtime_ns, _step(named)
    newer = [p for p in rest if p.stat().st_mtime_ns > time and _step(p) > step]
    return [*newer, named, *(p for p in rest if p not in newer)]


def _step(path: Path) -> int:
    match = _NUMBERED.search(path.name)
    return int(match[1]) if match else -1


def take_weights(
    model: nn.Module, state: Mapping[str, Tensor], source: str, partly: bool = False
) -> None:
    """Copy a checkpoint's weights into a model; all of them, and none is left over.

    What earlier versions kept beside the weights is passed over by the module that kept it.

    Args:
        model: An image classifier.
        state: Its weights by name, as :func:`.trusted.read_checkpoint` gives them.
        source: The checkpoint's name, for messages.
        partly: Take the weights that fit by name and shape; a warning names the others.

    Raises:
        InputError: Names or shapes differ, or ``partly`` finds nothing that fits.
    """
    if partly:
        own = model.state_dict()
        fit = {n: v for n, v in state.items() if n in own and v.shape == own[n].shape}
        if not fit:
            raise _misfit(source, f'none of its {len(state)} weights is one of the model')
        left = [*(n for n in state if n not in fit), *(n for n in own if n not in fit)]
        left = list(dict.fromkeys(left))
        model.load_state_dict(fit, strict=False)
        print_log(
            f'{source}: {len(fit)} of {len(own)} weights are taken, as load_partly=True allows'
            + (f'; these are not: {_some(left)}' if left else ''),
            'current',
            logging.WARN if left else logging.INFO,
        )
        return
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except InputError:
        raise
    except RuntimeError as error:  # torch's: shapes
        raise _misfit(source, ' '.join(str(error).split('\n\t')[1:]) or str(error)) from error
    problems = []
    if missing:
        problems.append(f'it lacks {_some(missing)}')
    if unexpected:
        problems.append(f'the model has no {_some(unexpected)}')
    if problems:
        raise _misfit(source, ', and '.join(problems))


def _misfit(source: str, problem: str) -> InputError:
    return InputError(
        f'{source} does not fit the config: {problem}. Give the checkpoint of a run with this '
        'config; to start training from a part of it, set load_partly=True beside load_from',
        code='runner.checkpoint_misfit',
    )


def _some(names: list[str]) -> str:
    more = f' and {len(names) - 3} more' if len(names) > 3 else ''
    return ', '.join(names[:3]) + more
