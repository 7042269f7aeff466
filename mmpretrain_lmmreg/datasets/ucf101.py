"""UCF-101, one frame a video."""

import json
import re
from pathlib import Path

from mmpretrain.registry import DATASETS

from ..errors import InputError
from .base import SplitDataset
from .names import UCF101_CLASSES, bare_name
from .splits import Sample

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
        raise InputError(f'{where}: {path!r} is not named as a UCF-101 video (v_Class_g01_c01)')
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
    try:
        parts = json.loads(file.read_text(encoding='utf-8'))
        return {
            part: [video_sample(path, file.name) for path, *_ in parts[part]]
            for part in ('train', 'val', 'test')
        }
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not CoOp's list of UCF-101: {error!r}") from None


@DATASETS.register_module()
class UCF101(SplitDataset):
    """UCF-101 (https://www.crcv.ucf.edu/data/UCF101.php), split 1, one frame a video.

    9,537 training and 3,783 test images of 101 classes; ``group`` is the source video that
    clips were cut from, such as ``'Archery/g08'``. ``tools/prepare_ucf101.py`` makes ::

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
    REMEDY = 'Make it with: python tools/prepare_ucf101.py SOURCE {root}'

    def __init__(self, data_root: str, *args, lists: str = 'official', **kwargs) -> None:
        if lists not in ('official', 'coop'):
            raise InputError(f"UCF101: lists must be 'official' or 'coop', not {lists!r}")
        self.lists = lists
        super().__init__(data_root, *args, **kwargs)

    def load_part(self, part: str) -> list[Sample] | None:
        """The samples of the official lists, or of CoOp's, which have a ``val``."""
        if self.lists == 'coop':
            return read_coop_lists(self._list(COOP_FILE))[part]
        return None if part == 'val' else read_official_list(self._list(LIST_FILES[part]))

    def _list(self, name: str) -> Path:
        file = Path(self.data_root, name)
        if not file.is_file():
            self._missing(f'no list {str(file)!r}')
        return file
