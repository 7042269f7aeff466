"""``DemoActions``: the rendered data set as an mmpretrain data set."""

import json

from mmpretrain.registry import DATASETS

from ..demo.actions import CLASSES
from ..demo.render import demo_folder
from ..errors import InputError
from ..io.checksums import check_file
from .base import SplitDataset
from .splits import Sample


@DATASETS.register_module()
class DemoActions(SplitDataset):
    """Six drawn actions whose places are tied to the action in train and not in test.

    Per class 60 training images, 90 % of them at the class's own place, and 72 test images,
    evenly at twelve places. Two images at a time show the same person and place and form a
    ``group``. Drawn and described (``descriptions.jsonl``) on first use.

    Args:
        data_root: Folder of a data set drawn before; '' draws it into the cache if need be.
        draw: Which sample of pictures is drawn; 0 is the demo's.
        **kwargs: See :class:`SplitDataset`; ``split='val'`` wants a ``val_fraction``.
    """

    METAINFO = {'classes': CLASSES}
    COUNTS = {'trainval': 360, 'test': 432}
    REMEDY = "Leave data_root empty ('') to have the data set drawn"

    def __init__(self, data_root: str = '', split: str = 'train', draw: int = 0, **kwargs) -> None:
        super().__init__(data_root or str(demo_folder(draw)), split, **kwargs)

    def load_part(self, part: str) -> list[Sample] | None:
        """The drawn scenes of ``train`` or ``test``."""
        if part == 'val':
            return None
        file = self.require('scenes.jsonl')
        try:
            check_file(file)
            lines = [json.loads(line) for line in file.read_text(encoding='utf-8').splitlines()]
            return [
                {
                    'rel_path': line['image'],
                    'gt_label': CLASSES.index(line['action']),
                    'group': line['group'],
                }
                for line in lines
                if line['image'].startswith(f'{part}/')
            ]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputError(
                f'{file} is damaged ({error}): delete {self.data_root}, it will be drawn again',
                code='data.damaged',
            ) from error
