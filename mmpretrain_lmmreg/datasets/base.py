"""What every data set here has: validation splits, few shots and class halves by seed."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

from .. import compat  # noqa: F401  first, since it lets torchvision be imported

# isort: split
from ..descriptions.attach import open_store
from ..errors import InputError, MissingInputError, require_one_of
from .files import locate, require_all, some_of
from .names import check_visible, readable_name
from .splits import Sample, few_shot, half_of_classes, hold_out

SPLITS = ('train', 'val', 'trainval', 'test')


class SplitDataset(BaseDataset):
    """Base of the data sets: a subclass lists its images, this class chooses among them.

    Each sample has ``img_path``, ``gt_label``, ``rel_path`` (POSIX, relative to the root),
    ``data_root`` and, where images come from a common source, ``group``.

    Args:
        data_root: Folder of the data set.
        split: ``'train'``, ``'val'``, ``'trainval'`` or ``'test'``.
        val_fraction: Share of the training images held out for validation, class by class
            and never dividing a group. ``'train'`` is then the rest, so give the same
            fraction and seed to both. 0 trains on everything.
        split_seed: Which images are held out.
        shots: Take this many training images a class (after the validation split).
        shot_seed: Which ones.
        described_only: Keep the images with descriptions in ``data_root/descriptions.jsonl``,
            before anything else is chosen.
        class_half: ``'base'`` or ``'new'``: keep one half of the classes, labels from 0.
        classes: Other names for the classes, in the same order.
        **kwargs: Of mmpretrain's BaseDataset (``pipeline``, ``indices``, ...).

    A missing folder, list or image raises MissingInputError, any other mistake InputError.
    """

    COUNTS: dict[str, int] = {}  # images of the published data set in 'trainval' and 'test'
    REMEDY = ''  # how to make what is missing; {root} is the data root

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        val_fraction: float = 0.0,
        split_seed: int = 0,
        shots: int | None = None,
        shot_seed: int = 0,
        described_only: bool = False,
        class_half: str | None = None,
        lazy_init: bool = False,
        **kwargs,
    ) -> None:
        name = type(self).__name__
        require_one_of(f'{name}: split', split, SPLITS)
        if shots is not None:
            require_one_of(f'{name}: split of shots', split, ('train', 'trainval'))
        self.split, self.val_fraction, self.split_seed = split, val_fraction, split_seed
        self.shots, self.shot_seed, self.class_half = shots, shot_seed, class_half
        self.described_only = described_only
        kwargs.setdefault('test_mode', split in ('val', 'test'))
        data_root = os.path.expanduser(data_root)
        super().__init__(ann_file='', data_root=data_root, lazy_init=True, **kwargs)
        self.require('')
        self.all_classes = self._name_classes()
        self.kept_labels = range(len(self.all_classes))
        if class_half is not None:
            self.kept_labels = half_of_classes(len(self.all_classes), class_half)
        given = self.CLASSES is not None and self.METAINFO.get('classes') != self.CLASSES
        names = self.all_classes if given else self.names_in_prompts(self.all_classes)
        self._metainfo['prompt_names'] = tuple(names[c] for c in self.kept_labels)
        self._metainfo['classes'] = tuple(self.all_classes[c] for c in self.kept_labels)
        if not lazy_init:
            self.full_init()

    def load_part(self, part: str) -> list[Sample] | None:
        """List the images of ``'train'``, ``'val'`` or ``'test'``: rel_path, gt_label, group.

        None for a ``'val'`` that the data set does not define.
        """
        raise NotImplementedError

    def found_classes(self) -> tuple[str, ...]:
        """Names of all classes, in the order of the labels."""
        return self.METAINFO['classes']

    def names_in_prompts(self, found: Sequence[str]) -> tuple[str, ...]:
        """What classes are called in prompts, where the user gave no ``classes``."""
        return tuple(map(readable_name, found))

    def require(self, name: str) -> Path:
        """A file or folder below the data root that must be there, else MissingInputError."""
        path = Path(self.data_root, name)
        if not path.exists():
            raise MissingInputError(
                f"{type(self).__name__}: there is no '{path}'. {self._remedy()}",
                code='data.not_prepared',
            )
        return path

    def _name_classes(self) -> tuple[str, ...]:
        found, given = self.found_classes(), self.CLASSES
        if given is not None and len(given) != len(found):
            raise InputError(
                f'{type(self).__name__}: {len(given)} names in `classes`, but {self.data_root} '
                f'has {len(found)} classes',
                code='data.other_class_count',
            )
        for name in given or ():
            check_visible(str(name), f'{type(self).__name__}: classes')
        return tuple(given or found)

    def load_data_list(self) -> list[Sample]:
        """The chosen samples, each of whose files is there."""
        samples = self._choose_split()
        new_label = {label: i for i, label in enumerate(self.kept_labels)}
        samples = [s for s in samples if s['gt_label'] in new_label]
        if self.shots is not None:
            samples = self._few_shot(samples, self.shots)
        paths = require_all(
            self.data_root, [s['rel_path'] for s in samples], type(self).__name__, self._remedy()
        )
        return [
            {
                **sample,
                'rel_path': path,
                'img_path': os.path.join(self.data_root, path),
                'data_root': self.data_root,
                'gt_label': new_label[sample['gt_label']],
            }
            for sample, path in zip(samples, paths, strict=True)
        ]

    def _few_shot(self, samples: list[Sample], shots: int) -> list[Sample]:
        counts = Counter(sample['gt_label'] for sample in samples)
        fewer = [self.all_classes[c] for c, count in counts.items() if count < shots]
        if fewer:
            print_log(
                f'shots={shots}, but {len(fewer)} of {len(counts)} classes have fewer images '
                f'and give all of theirs: {some_of(fewer)}',
                logger='current',
                level=logging.WARNING,
            )
        return few_shot(samples, shots, self.shot_seed)

    def _choose_split(self) -> list[Sample]:
        if self.split == 'test':
            samples = self.load_part('test') or []
            self._check_count('test', len(samples))
            return self._described(samples)
        train, val = self.load_part('train') or [], self.load_part('val')
        self._check_count('trainval', len(train) + len(val or ()))
        train, val = self._described(train), val and self._described(val)
        if val is None:
            train, val = hold_out(train, self.val_fraction, f'val {self.split_seed}')
        elif self.val_fraction:
            raise InputError(
                f'{type(self).__name__}: val_fraction={self.val_fraction}, but the lists define '
                f'a validation split; use one of the two',
                code='data.two_validation_splits',
            )
        if self.split == 'val' and not val:
            raise InputError(
                f'{type(self).__name__} has no validation images: set val_fraction (such as 0.2), '
                f'for the training split also',
                code='data.no_validation_split',
            )
        return {'train': train, 'val': val, 'trainval': train + val}[self.split]

    def _described(self, samples: list[Sample]) -> list[Sample]:
        if not self.described_only:
            return samples
        store = open_store(Path(self.data_root, 'descriptions.jsonl'))
        paths = locate(self.data_root, [sample['rel_path'] for sample in samples])
        return [s for s, path in zip(samples, paths, strict=True) if path and store.get(path)]

    def _check_count(self, part: str, count: int) -> None:
        expected = self.COUNTS.get(part, count)
        if count != expected:
            text = f'{type(self).__name__}: {count:,} images for {part}, {expected:,} are published'
            print_log(text, logger='current', level=logging.WARNING)

    def _remedy(self) -> str:
        return self.REMEDY.format(root=self.data_root)
