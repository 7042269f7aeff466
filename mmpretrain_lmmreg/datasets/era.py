"""ERA: events seen from the air, one frame a video: names, data set and preparation."""

import os
import re
from pathlib import Path

from mmpretrain.registry import DATASETS

from ..errors import MissingInputError
from .base import SplitDataset
from .files import class_folders
from .names import match_folders
from .pictures import is_image, natural_key
from .prepare import parts_of, take_frames, wrong_counts
from .splits import Sample

ERA_CLASSES = (
    'post-earthquake',
    'flood',
    'fire',
    'landslide',
    'mudslide',
    'traffic collision',
    'traffic congestion',
    'harvesting',
    'ploughing',
    'constructing',
    'police chase',
    'conflict',
    'baseball',
    'basketball',
    'boating',
    'cycling',
    'running',
    'soccer',
    'swimming',
    'car racing',
    'party',
    'concert',
    'parade/protest',
    'religious activity',
    'non-event',
)


@DATASETS.register_module()
class ERA(SplitDataset):
    """ERA (https://lcmou.github.io/ERA_Dataset/), one frame of each five-second video.

    1,473 training and 1,391 test images of 25 classes, one of them 'non-event'.
    ``prepare era`` makes ``data_root/{train,test}/<class>/<video>.jpg``. The data
    set defines no validation split: see ``val_fraction`` of :class:`SplitDataset`.

    Args:
        data_root: Folder of the data set.
        **kwargs: See :class:`SplitDataset`.
    """

    METAINFO = {'classes': ERA_CLASSES}
    COUNTS = {'trainval': 1473, 'test': 1391}
    REMEDY = 'Make it with: mmpretrain-lmmreg prepare era SOURCE {root}'

    def load_part(self, part: str) -> list[Sample] | None:
        """The images of ``train`` or ``test``, by class folder."""
        if part == 'val':
            return None
        folder = self.require(part)
        labels = match_folders(class_folders(folder), ERA_CLASSES, str(folder))
        return [
            {'rel_path': f'{part}/{name}/{file}', 'gt_label': label}
            for name, label in sorted(labels.items(), key=lambda item: item[1])
            for file in sorted(filter(is_image, os.listdir(folder / name)), key=natural_key)
        ]


def prepare_era(
    source: str, data_root: str, frame: str = 'middle', workers: int | None = None
) -> list[str]:
    """Take a frame of each video in ``source/{Train,Test}/<class>/*.mp4``."""
    parts = dict(zip(('train', 'test'), parts_of(source, 'Train', 'Test'), strict=True))
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
        raise MissingInputError(
            f'no .mp4 videos in the class folders of {source}', code='data.missing_source'
        )
    return take_frames(todo, root, frame, workers) + wrong_counts(counts, ERA.COUNTS)
