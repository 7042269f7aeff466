"""A person's own images: class folders, or a list of paths and labels."""

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cache

from mmengine.logging import MMLogger, print_log
from mmpretrain.registry import DATASETS

from ..errors import InputError
from .base import SplitDataset
from .files import some_of, unreadable_images
from .labels import class_names_of, image_root, labels_of, read_rows
from .splits import Sample, hold_out


@DATASETS.register_module()
class OwnImages(SplitDataset):
    """Own images, in class folders or in a list; the classes are found from the data.

    Without ``ann_file``: class folders, with or without folders of splits; Hugging Face's
    ImageFolder with ``metadata.csv`` or ``.jsonl``; a data set that its ``datasets`` saved.
    Where the data define no test split, one is made from the training images by seed. A
    validation split is the data's own, or made by ``val_fraction``. Groups are never divided.
    Instances with the same arguments but ``split`` agree on the classes and share no image.

    Args:
        data_root: Folder of the images.
        split: ``'train'``, ``'val'``, ``'trainval'`` or ``'test'``.
        ann_file: A list with path,label[,split][,group], see
            :func:`~mmpretrain_lmmreg.datasets.lists.read_list`; paths are relative to
            ``data_root``.
        columns: Names of the list's columns that are called otherwise than usual.
        class_names: Names of classes in prompts and tables, ``{label: name}`` or a file of it; see
            :func:`class_names_of`. They are used exactly; other labels are made readable
            ('polarBear' -> 'polar Bear').
        test_fraction: Share of each class that is the test split, if the data define none.
        skip_unreadable: Leave out images that cannot be read, and say which, instead of refusing
            them before training.
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
        columns: Mapping[str, str] | str | None = None,
        skip_unreadable: bool = False,
        **kwargs,
    ) -> None:
        self.list_file, self.test_fraction = ann_file, test_fraction
        self.class_names, self.columns = class_names, columns
        self.skip_unreadable = skip_unreadable
        self.given_root = os.path.expanduser(data_root)
        super().__init__(str(image_root(data_root)), split, **kwargs)

    def found_classes(self) -> tuple[str, ...]:
        """Names of the labels that occur, in natural order."""
        self._found = read_rows(image_root(self.data_root), self.list_file, self.columns)
        return class_names_of(labels_of(self._found.rows), self.class_names, self.given_root)

    def names_in_prompts(self, found: Sequence[str]) -> tuple[str, ...]:
        """The names as they are: labels were made readable, names given are kept exactly."""
        return tuple(found)

    def load_data_list(self) -> list[Sample]:
        """The chosen samples of the split."""
        found = self._found
        self._parts = self._divide()
        if self.split in ('train', 'trainval'):
            for note in found.notes:
                self._say(note, logging.WARNING)
            self._say_left_out(found.summary(), found.left_out)
        samples = super().load_data_list()
        del self._parts, self._found  # not to be copied into every loader's worker
        if not self.skip_unreadable:
            return samples
        self.unreadable = _unreadable(self.data_root, tuple(s['rel_path'] for s in samples))
        broken = list(self.unreadable.items())
        if broken:
            shown = some_of([f'{path} ({why})' for path, why in broken])
            self._say_left_out(f'{len(broken)} unreadable images are left out: {shown}', broken)
        return [sample for sample in samples if sample['rel_path'] not in self.unreadable]

    def _say(self, line: str, level: int = logging.INFO) -> None:
        _say_once(MMLogger.get_current_instance().instance_name, self.data_root, line, level)

    def _say_left_out(self, summary: str, left_out: list[tuple[str, str]]) -> None:
        """One line on the terminal; the names of all that was left out go into the log file."""
        if summary:
            self._say(summary)
            names = '\n'.join(f'  {path}: {why}' for path, why in left_out)
            run = MMLogger.get_current_instance().instance_name
            _write_once(run, self.data_root, f'Images left out:\n{names}')

    def load_part(self, part: str) -> list[Sample] | None:
        """The samples of a part, as :meth:`load_data_list` divided them."""
        return self._parts[part]

    def _divide(self) -> dict[str, list[Sample] | None]:
        number = {label: i for i, label in enumerate(labels_of(self._found.rows))}
        parts: dict[str, list[Sample]] = {'train': [], 'val': [], 'test': []}
        for row in self._found.rows:
            sample = {'rel_path': row.rel_path, 'gt_label': number[row.label]}
            if row.group:
                sample['group'] = row.group
            parts[row.split or 'train'].append(sample)
        if not parts['test']:
            parts = self._make_test(parts)
        _warn_of_shared_groups(parts)
        return {**parts, 'val': parts['val'] or None}

    def _make_test(self, parts: dict[str, list[Sample]]) -> dict[str, list[Sample]]:
        if parts['val']:
            if self.split == 'test':
                raise InputError(
                    f'{self.data_root} has train and val but no test split: name a test split, or '
                    f"use split='val' for what you report (then select nothing by it)",
                    code='data.no_test_split',
                )
            return parts
        train, test = hold_out(parts['train'], self.test_fraction, f'test {self.split_seed}')
        if self.split == 'test' and not test:
            raise InputError(
                f'{self.data_root}: test_fraction={self.test_fraction} leaves no image for a test '
                f'split; give more images or groups, or a larger fraction',
                code='data.too_few_for_test',
            )
        return {'train': train, 'val': [], 'test': test}


@cache
def _unreadable(root: str, rel_paths: tuple[str, ...]) -> dict[str, str]:
    """As :func:`unreadable_images`, once a process: a run builds its data sets several times."""
    return unreadable_images(root, rel_paths)


@cache
def _say_once(_run: str, _root: str, line: str, level: int) -> None:
    """Log a line once a run, which builds its data sets several times."""
    print_log(line, logger='current', level=level)


@cache
def _write_once(run: str, _root: str, text: str) -> None:
    """Write a text into a run's log file, but not to the terminal."""
    record = logging.LogRecord(run, logging.INFO, __file__, 0, text, None, None)
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


def _warn_of_shared_groups(parts: dict[str, list[Sample]]) -> None:
    groups = {
        part: {s['group'] for s in samples if 'group' in s} for part, samples in parts.items()
    }
    for part in ('val', 'test'):
        if shared := sorted(groups['train'] & groups[part]):
            print_log(
                f'groups in train and {part}: {some_of(shared)}; accuracies on {part} are too high',
                logger='current',
                level=logging.WARNING,
            )
