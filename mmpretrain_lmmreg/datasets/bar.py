"""BAR: six actions, whose backgrounds mislead in the test set."""

import os
from pathlib import Path

from mmpretrain.registry import DATASETS

from .base import SplitDataset
from .files import is_image, natural_key
from .names import BAR_CLASSES, match_folders
from .splits import Sample


@DATASETS.register_module()
class BAR(SplitDataset):
    """BAR, biased action recognition (https://github.com/alinlab/BAR).

    1,941 training and 654 test images of 6 classes, in
    ``data_root/{train,test}/<class>_<n>.jpg``. The data set defines no validation split, and
    its test images are biased otherwise than the training images, on purpose: what
    ``val_fraction`` (see :class:`SplitDataset`) holds out shares the training images' bias.

    Args:
        data_root: Folder of the data set.
        **kwargs: See :class:`SplitDataset`.
    """

    METAINFO = {'classes': BAR_CLASSES}
    COUNTS = {'trainval': 1941, 'test': 654}
    REMEDY = 'Make it with: python tools/prepare_bar.py SOURCE {root}'

    def load_part(self, part: str) -> list[Sample] | None:
        """The images of ``train`` or ``test``, by file name."""
        if part == 'val':
            return None
        folder = Path(self.data_root, part)
        if not folder.is_dir():
            self._missing(f'no folder {str(folder)!r}')
        files = sorted(filter(is_image, os.listdir(folder)), key=natural_key)
        names = [file.rpartition('_')[0] for file in files]
        labels = match_folders(sorted(set(names)), BAR_CLASSES, str(folder))
        return [
            {'rel_path': f'{part}/{file}', 'gt_label': labels[name]}
            for file, name in zip(files, names, strict=True)
        ]
