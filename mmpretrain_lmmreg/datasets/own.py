"""A person's own images: class folders, or a list of paths and labels."""

import logging
from collections.abc import Mapping

from mmengine.logging import print_log
from mmpretrain.registry import DATASETS

from ..errors import InputError, require_range
from .base import SplitDataset
from .files import some_of
from .own_lists import labels_of, read_rows
from .own_names import class_names_of
from .splits import Sample, hold_out


@DATASETS.register_module()
class OwnImages(SplitDataset):
    """Own images, in class folders or in a list; the classes are found from the data.

    Without ``ann_file``: ``data_root/<class>/...`` or ``data_root/{train,val,test}/<class>/...``.
    Where the data define no test split, one is made from the training images by seed. A
    validation split is the data's own, or made by ``val_fraction``. Groups are never divided.
    Instances with the same arguments but ``split`` agree on the classes and share no image.

    Args:
        data_root: Folder of the images.
        split: ``'train'``, ``'val'``, ``'trainval'`` or ``'test'``.
        ann_file: A CSV with columns path,label[,split][,group] or a JSON list of such objects;
            paths are relative to ``data_root``.
        class_names: Names of classes in prompts and tables, ``{label: name}`` or a file of it; see
            :func:`class_names_of`. Other labels are made readable ('polarBear' -> 'polar Bear').
        test_fraction: Share of each class that is the test split, if the data define none.
        **kwargs: See :class:`SplitDataset`; ``split_seed`` decides the test split also.
    """

    REMEDY = 'Correct data_root ({root}) or the list'

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        ann_file: str = '',
        class_names: Mapping[str, str] | str = '',
        test_fraction: float = 0.2,
        **kwargs,
    ) -> None:
        require_range(f'{type(self).__name__}: test_fraction', test_fraction, 0, 1)
        self.list_file, self.test_fraction = ann_file, test_fraction
        self.class_names = class_names
        super().__init__(data_root, split, **kwargs)

    def found_classes(self) -> tuple[str, ...]:
        """Names of the labels that occur, in natural order."""
        self._rows = read_rows(self.data_root, self.list_file)
        return class_names_of(labels_of(self._rows), self.class_names, self.data_root)

    def load_data_list(self) -> list[Sample]:
        """The chosen samples of the split."""
        self._parts = self._divide()
        samples = super().load_data_list()
        del self._parts, self._rows  # not to be copied into every loader's worker
        return samples

    def load_part(self, part: str) -> list[Sample] | None:
        """The samples of a part, as :meth:`load_data_list` divided them."""
        return self._parts[part]

    def _divide(self) -> dict[str, list[Sample] | None]:
        number = {label: i for i, label in enumerate(labels_of(self._rows))}
        parts: dict[str, list[Sample]] = {'train': [], 'val': [], 'test': []}
        for row in self._rows:
            sample = {'rel_path': row['rel_path'], 'gt_label': number[row['label']]}
            if row['group']:
                sample['group'] = row['group']
            parts[row['split'] or 'train'].append(sample)
        if not parts['test']:
            parts = self._make_test(parts)
        _warn_of_shared_groups(parts)
        return {**parts, 'val': parts['val'] or None}

    def _make_test(self, parts: dict[str, list[Sample]]) -> dict[str, list[Sample]]:
        if parts['val']:
            if self.split == 'test':
                raise InputError(
                    f'{self.data_root} has train and val but no test split: name a test split, or '
                    f"use split='val' for what you report (then select nothing by it)"
                )
            return parts
        train, test = hold_out(parts['train'], self.test_fraction, f'test {self.split_seed}')
        if self.split == 'test' and not test:
            raise InputError(
                f'{self.data_root}: test_fraction={self.test_fraction} leaves no image for a test '
                f'split; give more images or groups, or a larger fraction'
            )
        return {'train': train, 'val': [], 'test': test}


def _warn_of_shared_groups(parts: dict[str, list[Sample]]) -> None:
    groups = {
        part: {s['group'] for s in samples if 'group' in s} for part, samples in parts.items()
    }
    for part in ('val', 'test'):
        if shared := sorted(groups['train'] & groups[part]):
            print_log(
                f'groups in train and {part}: {some_of(shared)}; accuracies on {part} flatter',
                logger='current',
                level=logging.WARNING,
            )
