"""From a benchmark's download to the layout that its data set class reads.

Each ``prepare_*`` returns what went wrong, one line a problem, after doing all that can be done;
a mistake that leaves nothing to do raises InputError. Running it again does what is left.
"""

import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..descriptions import DescriptionStore
from ..descriptions.lines import encode
from ..errors import InputError, MissingInputError
from ..io.files import save_atomic
from ..io.printing import plain
from ..progress import track
from .era import ERA
from .files import class_folders, is_image, locate, some_of, unreadable_images
from .names import BAR_CLASSES, ERA_CLASSES, UCF101_CLASSES, match_folders
from .splits import Sample
from .ucf101 import COOP_FILE, LIST_FILES, UCF101, read_coop_lists, read_official_list
from .videos import frame_position, write_frames

BAR_COUNTS = {'train': (326, 520, 163, 279, 336, 317), 'test': (105, 159, 42, 131, 132, 85)}
BAR_REPLIES = Path(__file__).parents[1] / 'data' / 'bar_replies.jsonl'


def prepare_ucf101(
    source: str,
    data_root: str,
    lists: str | None = None,
    frame: str = 'middle',
    workers: int | None = None,
) -> list[str]:
    """Take a frame of each listed video (.avi, anywhere below ``source``) and write the lists.

    The lists are the official ones or CoOp's JSON, anywhere below ``lists``, by default below
    ``source`` or ``data_root``.
    """
    files = _files_below(source)
    samples, coop = _read_ucf_lists([lists] if lists else [source, data_root])
    videos = {path.stem.lower(): path for path in files if path.suffix.lower() == '.avi'}
    if not videos:
        raise MissingInputError(f'no .avi videos below {source}: unpack UCF101.rar there')
    root = Path(data_root)
    _remember_position(root, frame)
    todo, missing = {}, []
    for sample in samples['train'] + samples['test']:
        stem = Path(sample['rel_path']).stem
        if video := videos.get(stem.lower()):
            todo[video] = root / sample['rel_path']
        else:
            missing.append(f'{stem}.avi')
    problems = write_frames(todo, frame_position(frame), workers)
    if missing:
        problems.append(
            f'{len(missing):,} listed videos are not below {source}: {some_of(missing)}'
        )
    _write_ucf_lists(root, samples, coop)
    return problems + _wrong_counts({part: len(s) for part, s in samples.items()}, UCF101.COUNTS)


def _files_below(folder: str) -> list[Path]:
    if not os.path.isdir(folder):
        raise MissingInputError(f'no folder {str(folder)!r}')
    return [Path(at, name) for at, _, names in sorted(os.walk(folder)) for name in sorted(names)]


def _read_ucf_lists(places: Sequence[str]) -> tuple[dict[str, list[Sample]], Path | None]:
    files = {f.name: f for place in places if os.path.exists(place) for f in _list_files(place)}
    coop = files.get(COOP_FILE)
    if all(name in files for name in LIST_FILES.values()):
        return {part: read_official_list(files[n]) for part, n in LIST_FILES.items()}, coop
    if coop is None:
        raise MissingInputError(
            f'neither {" and ".join(LIST_FILES.values())} nor {COOP_FILE} below '
            f'{" or ".join(map(str, places))}: get the official lists, or give --lists FOLDER'
        )
    parts = read_coop_lists(coop)
    whole = {'train': parts['train'] + parts['val'], 'test': parts['test']}
    for samples in whole.values():
        samples.sort(key=lambda sample: (sample['gt_label'], sample['rel_path']))
    return whole, coop


def _list_files(place: str) -> list[Path]:
    return [Path(place)] if os.path.isfile(place) else _files_below(place)


def _write_ucf_lists(root: Path, samples: Mapping[str, list[Sample]], coop: Path | None) -> None:
    for part, name in LIST_FILES.items():
        with save_atomic(root / name) as file:
            for sample in samples[part]:
                _, folder, image = sample['rel_path'].split('/')
                line = f'{folder}/{Path(image).stem}.avi {sample["gt_label"] + 1}\n'
                file.write(line.encode())
    with save_atomic(root / 'classInd.txt') as file:
        file.writelines(f'{i} {name}\n'.encode() for i, name in enumerate(UCF101_CLASSES, 1))
    if coop is not None and not (root / COOP_FILE).exists():
        _copy(coop, root / COOP_FILE)


def prepare_era(
    source: str, data_root: str, frame: str = 'middle', workers: int | None = None
) -> list[str]:
    """Take a frame of each video in ``source/{Train,Test}/<class>/*.mp4``."""
    parts = dict(zip(('train', 'test'), _parts_of(source, 'Train', 'Test'), strict=True))
    root = Path(data_root)
    todo: dict[Path, Path] = {}
    counts: dict[str, int] = {}
    for part, folder in parts.items():
        for name, label in match_folders(class_folders(folder), ERA_CLASSES, str(folder)).items():
            target = root / part / re.sub('[^a-z]+', '_', ERA_CLASSES[label])
            for video in sorted(folder.joinpath(name).iterdir()):
                if video.suffix.lower() == '.mp4' and not video.name.startswith('.'):
                    todo[video] = target / f'{video.stem}.jpg'
                    counts[part] = counts.get(part, 0) + 1
    if not todo:
        raise MissingInputError(f'no .mp4 videos in the class folders of {source}')
    _remember_position(root, frame)
    problems = write_frames(todo, frame_position(frame), workers)
    return problems + _wrong_counts(counts, ERA.COUNTS)


def prepare_bar(source: str, data_root: str, replies: bool = False) -> list[str]:
    """Copy ``source/{train,test}`` (unless they are there already), count and decode the images.

    ``replies`` writes the descriptions that the package ships, if there are none yet.
    """
    root = Path(data_root)
    images, problems = [], []
    for part, folder in zip(('train', 'test'), _parts_of(source, 'train', 'test'), strict=True):
        names = sorted(filter(is_image, os.listdir(folder)))
        images += [(folder / name, root / part / name) for name in names]
        classes = Counter(name.rpartition('_')[0] for name in names)
        for name, expected in zip(BAR_CLASSES, BAR_COUNTS[part], strict=True):
            if classes[name] != expected:
                problems.append(
                    f'{part}: {classes[name]} images of {name}, {expected} are published'
                )
    for image, target in track(images, 'copying', len(images)):
        if not target.exists() or target.stat().st_size != image.stat().st_size:
            _copy(image, target)
    broken = unreadable_images(root, [target.relative_to(root).as_posix() for _, target in images])
    problems += [f'{root / path}: {why}' for path, why in broken.items()]
    if replies and not (root / 'descriptions.jsonl').exists():
        with save_atomic(root / 'descriptions.jsonl') as file:
            file.writelines(map(encode, DescriptionStore(BAR_REPLIES)))  # parsed, once for all runs
    return problems


def _parts_of(source: str, *names: str) -> list[Path]:
    found = locate(source, names)
    missing = [name for name, there in zip(names, found, strict=True) if there is None]
    if missing:
        raise MissingInputError(f'no folder {" or ".join(missing)} in {str(source)!r}')
    return [Path(source, there) for there in found if there]


def _remember_position(root: Path, frame: str) -> None:
    """Refuse to mix frames taken at different positions in one folder."""
    note, taken = root / 'frames.json', {'frame': frame_position(frame)}
    if not note.exists():
        with save_atomic(note) as file:
            file.write(json.dumps(taken).encode())
    elif json.loads(note.read_text()) != taken:
        raise InputError(
            f'{note} says that the frames there were taken at {note.read_text()}, not at '
            f'{json.dumps(taken)}: use another DATA_ROOT'
        )


def _wrong_counts(counts: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    expected = {'train': published['trainval'], 'test': published['test']}
    return [
        f'{part}: {counts.get(part, 0):,} videos, {number:,} are published'
        for part, number in expected.items()
        if counts.get(part, 0) != number
    ]


def _copy(source: Path, target: Path) -> None:
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
