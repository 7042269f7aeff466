"""ERA: events seen from the air, one frame a video."""

import os
from pathlib import Path

from mmpretrain.registry import DATASETS

from .base import SplitDataset
from .files import class_folders, is_image, natural_key
from .names import ERA_CLASSES, match_folders
from .splits import Sample


@DATASETS.register_module()
class ERA(SplitDataset):
    """ERA (https://lcmou.github.io/ERA_Dataset/), one frame of each five-second video.

    1,473 training and 1,391 test images of 25 classes, one of them 'non-event'.
    ``tools/prepare_era.py`` makes ``data_root/{train,test}/<class>/<video>.jpg``. The data
    set defines no validation split: see ``val_fraction`` of :class:`SplitDataset`.

    Args:
        data_root: Folder of the data set.
        **kwargs: See :class:`SplitDataset`.
    """

    METAINFO = {'classes': ERA_CLASSES}
    COUNTS = {'trainval': 1473, 'test': 1391}
    REMEDY = 'Make it with: python tools/prepare_era.py SOURCE {root}'

    def load_part(self, part: str) -> list[Sample] | None:
        """The images of ``train`` or ``test``, by class folder."""
        if part == 'val':
            return None
        folder = Path(self.data_root, part)
        if not folder.is_dir():
            self._missing(f'no folder {str(folder)!r}')
        labels = match_folders(class_folders(folder), ERA_CLASSES, str(folder))
        return [
            {'rel_path': f'{part}/{name}/{file}', 'gt_label': label}
            for name, label in sorted(labels.items(), key=lambda item: item[1])
            for file in sorted(filter(is_image, os.listdir(folder / name)), key=natural_key)
        ]
