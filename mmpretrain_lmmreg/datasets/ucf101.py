"""UCF-101, one frame a video: names, lists, data set and preparation."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmpretrain.registry import DATASETS

from ..errors import InputError, MissingInputError, require_one_of
from ..io.files import parse_json, save_atomic
from .base import SplitDataset
from .files import some_of
from .names import bare_name
from .prepare import copy_whole, files_below, take_frames, wrong_counts
from .splits import Sample

UCF101_CLASSES = tuple(
    """
    ApplyEyeMakeup ApplyLipstick Archery BabyCrawling BalanceBeam BandMarching BaseballPitch
    Basketball BasketballDunk BenchPress Biking Billiards BlowDryHair BlowingCandles
    BodyWeightSquats Bowling BoxingPunchingBag BoxingSpeedBag BreastStroke BrushingTeeth
    CleanAndJerk CliffDiving CricketBowling CricketShot CuttingInKitchen Diving Drumming Fencing
    FieldHockeyPenalty FloorGymnastics FrisbeeCatch FrontCrawl GolfSwing Haircut Hammering
    HammerThrow HandstandPushups HandstandWalking HeadMassage HighJump HorseRace HorseRiding
    HulaHoop IceDancing JavelinThrow JugglingBalls JumpingJack JumpRope Kayaking Knitting
    LongJump Lunges MilitaryParade Mixing MoppingFloor Nunchucks ParallelBars PizzaTossing
    PlayingCello PlayingDaf PlayingDhol PlayingFlute PlayingGuitar PlayingPiano PlayingSitar
    PlayingTabla PlayingViolin PoleVault PommelHorse PullUps Punch PushUps Rafting
    RockClimbingIndoor RopeClimbing Rowing SalsaSpin ShavingBeard Shotput SkateBoarding Skiing
    Skijet SkyDiving SoccerJuggling SoccerPenalty StillRings SumoWrestling Surfing Swing
    TableTennisShot TaiChi TennisSwing ThrowDiscus TrampolineJumping Typing UnevenBars
    VolleyballSpiking WalkingWithDog WallPushups WritingOnBoard YoYo
    """.split()  # noqa: SIM905  a literal would fill a page
)

LIST_FILES = {'train': 'trainlist01.txt', 'test': 'testlist01.txt'}
COOP_FILE = 'split_zhou_UCF101.json'
_LABELS = {bare_name(name): label for label, name in enumerate(UCF101_CLASSES)}
_VIDEO = re.compile(r'v_(\w+)_(g\d+)_c\d+', re.IGNORECASE)


def video_sample(path: str, where: str) -> Sample:
    """Sample of a video or frame from a list; the file's own name says class and group.

    Lists, folders and files disagree about the spelling of HandstandPushups, so classes are
    matched without case and the sample gets the class list's spelling.
    """
    stem = Path(path).stem
    match = _VIDEO.fullmatch(stem)
    label = _LABELS.get(bare_name(match[1])) if match else None
    if match is None or label is None:
        raise InputError(
            f'{where}: {path!r} is not named as a UCF-101 video (v_Class_g01_c01)',
            code='data.bad_line',
        )
    name = UCF101_CLASSES[label]
    return {
        'rel_path': f'frames/{name}/{stem}.jpg',
        'gt_label': label,
        'group': f'{name}/{match[2].lower()}',
    }


def read_official_list(file: Path) -> list[Sample]:
    """Samples of ``trainlist01.txt`` or ``testlist01.txt``."""
    lines = file.read_text(encoding='utf-8').splitlines()
    return [video_sample(line.split()[0], file.name) for line in lines if line.strip()]


def read_coop_lists(file: Path) -> dict[str, list[Sample]]:
    """Samples of ``'train'``, ``'val'`` and ``'test'`` in ``split_zhou_UCF101.json``."""
    parts = parse_json(file.read_bytes(), file)
    try:
        return {
            part: [video_sample(path, file.name) for path, *_ in parts[part]]
            for part in ('train', 'val', 'test')
        }
    except (LookupError, TypeError) as error:
        raise InputError(
            f"{file} is not CoOp's list of UCF-101: {error!r}", code='data.bad_list'
        ) from None


@DATASETS.register_module()
class UCF101(SplitDataset):
    """UCF-101 (https://www.crcv.ucf.edu/data/UCF101.php), split 1, one frame a video.

    9,537 training and 3,783 test images of 101 classes; ``group`` is the source video that
    clips were cut from, such as ``'Archery/g08'``. ``prepare ucf101`` makes ::

        data_root
        ├── frames/Archery/v_Archery_g01_c01.jpg, ...
        ├── trainlist01.txt, testlist01.txt, classInd.txt
        └── split_zhou_UCF101.json        (where the source has it)

    Args:
        data_root: Folder of the data set.
        lists: ``'official'``, or ``'coop'`` for CoOp's division of the training images in
            7,639 + 1,898 for validation. There every source video of the validation images
            also occurs in training, so it flatters; ``val_fraction`` goes by source video.
        **kwargs: See :class:`SplitDataset`.
    """

    METAINFO = {'classes': UCF101_CLASSES}
    COUNTS = {'trainval': 9537, 'test': 3783}
    REMEDY = 'Make it with: mmpretrain-lmmreg prepare ucf101 SOURCE {root}'

    def __init__(self, data_root: str, *args, lists: str = 'official', **kwargs) -> None:
        require_one_of('UCF101: lists', lists, ('official', 'coop'))
        self.lists = lists
        super().__init__(data_root, *args, **kwargs)

    def load_part(self, part: str) -> list[Sample] | None:
        """The samples of the official lists, or of CoOp's, which have a ``val``."""
        if self.lists == 'coop':
            return read_coop_lists(self.require(COOP_FILE))[part]
        return None if part == 'val' else read_official_list(self.require(LIST_FILES[part]))


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
    files = files_below(source)
    samples, coop = _read_ucf_lists([lists] if lists else [source, data_root])
    videos = {path.stem.lower(): path for path in files if path.suffix.lower() == '.avi'}
    if not videos:
        raise MissingInputError(
            f'no .avi videos below {source}: unpack UCF101.rar there', code='data.missing_source'
        )
    root = Path(data_root)
    todo, missing = {}, []
    for sample in samples['train'] + samples['test']:
        stem = Path(sample['rel_path']).stem
        if video := videos.get(stem.lower()):
            todo[video] = root / sample['rel_path']
        else:
            missing.append(f'{stem}.avi')
    problems = take_frames(todo, root, frame, workers)
    if missing:
        problems.append(
            f'{len(missing):,} listed videos are not below {source}: {some_of(missing)}'
        )
    _write_ucf_lists(root, samples, coop)
    return problems + wrong_counts({part: len(s) for part, s in samples.items()}, UCF101.COUNTS)


def _read_ucf_lists(places: Sequence[str]) -> tuple[dict[str, list[Sample]], Path | None]:
    files = {f.name: f for place in places if os.path.exists(place) for f in files_below(place)}
    coop = files.get(COOP_FILE)
    if all(name in files for name in LIST_FILES.values()):
        return {part: read_official_list(files[n]) for part, n in LIST_FILES.items()}, coop
    if coop is None:
        raise MissingInputError(
            f'neither {" and ".join(LIST_FILES.values())} nor {COOP_FILE} below '
            f'{" or ".join(map(str, places))}: get the official lists, or give --lists FOLDER',
            code='data.missing_source',
        )
    parts = read_coop_lists(coop)
    whole = {'train': parts['train'] + parts['val'], 'test': parts['test']}
    for samples in whole.values():
        samples.sort(key=lambda sample: (sample['gt_label'], sample['rel_path']))
    return whole, coop


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
        copy_whole(coop, root / COOP_FILE)
