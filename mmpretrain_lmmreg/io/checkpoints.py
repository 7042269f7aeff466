"""Checkpoint files: verified, the newest whole one, and weights put into a model."""

import logging
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from ..errors import InputError

LAST = 'last_checkpoint'
_NUMBERED = re.compile(r'_(\d+)\.pth$')


def check_whole(path: str | Path) -> None:
    """Raise InputError where a checkpoint is cut or a bit of it has flipped.

    torch writes a checksum of each part into the file. Files of torch before 1.6 have none.
    """
    with open(path, 'rb') as file:
        start = file.read(4)
    problem = '' if start[:1] == b'\x80' else 'it does not begin as a file of torch does'
    if start == b'PK\x03\x04':
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
    for path in _newest_first(Path(folder)):
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
            f'--resume: no checkpoint of {folder} is whole. {"; ".join(problems)}. Remove them to '
            'train from the start',
            code='runner.no_whole_checkpoint',
        )
    print_log(f'{folder} has no checkpoint: training begins at the start', 'current')
    return None


def _newest_first(folder: Path) -> list[Path]:
    last = folder / LAST
    said = Path(last.read_text('utf-8', 'replace').strip() if last.is_file() else '')
    places = (folder / said.name, said)  # the folder may have been moved since
    named = next((path for path in places if path.is_file()), None)
    if said.name and not named:
        print_log(f'{last} names {said}, which does not exist', 'current', logging.WARN)
    found = [
        path
        for place in {folder, named.parent if named else folder}
        for path in place.glob('*_*.pth')
        if _NUMBERED.search(path.name) and not path.name.startswith('best_')
    ]
    found.sort(key=_age, reverse=True)
    if not named:
        return found
    newer = [p for p in found if all(a > b for a, b in zip(_age(p), _age(named), strict=True))]
    return list(dict.fromkeys([*newer, named, *found]))


def _age(path: Path) -> tuple[int, int]:
    """When a checkpoint was written, and after which epoch or step."""
    number = _NUMBERED.search(path.name)
    return path.stat().st_mtime_ns, int(number[1]) if number else -1


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
        left = [name for name in {**state, **own} if name not in fit]
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
