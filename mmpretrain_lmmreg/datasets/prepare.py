"""From a benchmark's download to the layout that its data set class reads: what they share.

Each ``prepare_*`` returns what went wrong, one line a problem, after doing all that can be done;
a mistake that leaves nothing to do raises InputError. Running it again does what is left.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import InputError, MissingInputError
from ..io.files import save_atomic
from ..io.printing import plain
from .files import locate
from .videos import frame_position


def files_below(folder: str) -> list[Path]:
    """All files below a folder, sorted."""
    if not os.path.isdir(folder):
        raise MissingInputError(f'no folder {str(folder)!r}', code='data.missing_source')
    return [Path(at, name) for at, _, names in sorted(os.walk(folder)) for name in sorted(names)]


def parts_of(source: str, *names: str) -> list[Path]:
    """Folders of ``source`` by name, letter case ignored."""
    found = locate(source, names)
    missing = [name for name, there in zip(names, found, strict=True) if there is None]
    if missing:
        raise MissingInputError(
            f'no folder {" or ".join(missing)} in {str(source)!r}', code='data.missing_source'
        )
    return [Path(source, there) for there in found if there]


def remember_position(root: Path, frame: str) -> None:
    """Refuse to mix frames taken at different positions in one folder."""
    note, taken = root / 'frames.json', {'frame': frame_position(frame)}
    if not note.exists():
        with save_atomic(note) as file:
            file.write(json.dumps(taken).encode())
    elif json.loads(note.read_text()) != taken:
        raise InputError(
            f'{note} says that the frames there were taken at {note.read_text()}, not at '
            f'{json.dumps(taken)}: use another DATA_ROOT',
            code='data.other_frames',
        )


def wrong_counts(counts: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """A line for each part with another number of videos than is published."""
    expected = {'train': published['trainval'], 'test': published['test']}
    return [
        f'{part}: {counts.get(part, 0):,} videos, {number:,} are published'
        for part, number in expected.items()
        if counts.get(part, 0) != number
    ]


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file whole or not at all."""
    with open(source, 'rb') as original, save_atomic(target) as copy:
        shutil.copyfileobj(original, copy)


def run(prepare: Callable[..., list[str]], **arguments) -> int:
    """Exit code of a command: 0 if all went well; problems are listed on stderr."""
    problems = prepare(**arguments)
    for problem in problems:
        print(plain(problem), file=sys.stderr)
    root = arguments['data_root']
    print(f'{root}: {len(problems)} problems, see above' if problems else f'{root} is ready')
    return 1 if problems else 0
