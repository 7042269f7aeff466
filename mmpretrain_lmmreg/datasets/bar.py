"""BAR: six actions, whose backgrounds mislead in the test set: names, data set, preparation."""

import os
from collections import Counter
from pathlib import Path

from mmpretrain.registry import DATASETS

from ..descriptions import DescriptionStore
from ..descriptions.lines import encode
from ..io.files import save_atomic
from ..progress import track
from .base import SplitDataset
from .files import unreadable_images
from .names import match_folders
from .pictures import is_image, natural_key
from .prepare import copy_whole, parts_of
from .splits import Sample

BAR_CLASSES = ('climbing', 'diving', 'fishing', 'pole vaulting', 'racing', 'throwing')
BAR_COUNTS = {'train': (326, 520, 163, 279, 336, 317), 'test': (105, 159, 42, 131, 132, 85)}
BAR_REPLIES = Path(__file__).parents[1] / 'data' / 'bar_replies.jsonl'


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
    REMEDY = 'Make it with: mmpretrain-lmmreg prepare bar SOURCE {root}'

    def load_part(self, part: str) -> list[Sample] | None:
        """The images of ``train`` or ``test``, by file name."""
        if part == 'val':
            return None
        folder = self.require(part)
        files = sorted(filter(is_image, os.listdir(folder)), key=natural_key)
        names = [file.rpartition('_')[0] for file in files]
        labels = match_folders(sorted(set(names)), BAR_CLASSES, str(folder))
        return [
            {'rel_path': f'{part}/{file}', 'gt_label': labels[name]}
            for file, name in zip(files, names, strict=True)
        ]


def prepare_bar(source: str, data_root: str, replies: bool = False) -> list[str]:
    """Copy ``source/{train,test}`` (unless they are there already), count and decode the images.

    ``replies`` writes the descriptions that the package ships, if there are none yet.
    """
    root = Path(data_root)
    images, problems = [], []
    for part, folder in zip(('train', 'test'), parts_of(source, 'train', 'test'), strict=True):
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
            copy_whole(image, target)
    broken = unreadable_images(root, [target.relative_to(root).as_posix() for _, target in images])
    problems += [f'{root / path}: {why}' for path, why in broken.items()]
    if replies and not (root / 'descriptions.jsonl').exists():
        with save_atomic(root / 'descriptions.jsonl') as file:
            file.writelines(map(encode, DescriptionStore(BAR_REPLIES)))  # parsed, once for all runs
    return problems
