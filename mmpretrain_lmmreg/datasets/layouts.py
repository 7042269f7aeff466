"""Images in folders: which folder is a class, which a split, and what is left out."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from .files import class_folders, some_of
from .names import nfc
from .pictures import natural_key, walk_images

EXPECTED = (
    'Put the images of each class into a folder of its own (CLASS/image.jpg, or train/CLASS/... '
    'and test/CLASS/...), or give a list of paths and labels as ann_file (CUSTOM_LIST=FILE for '
    'configs/lmmreg_custom.py)'
)
_SPLITS = {
    'train': ('train', 'training'),
    'val': ('val', 'valid', 'validation', 'dev', 'eval'),
    'test': ('test', 'testing'),
    'unlabelled': ('pred', 'predict', 'prediction', 'unlabeled', 'unlabelled'),
}
SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
_ENDING = re.compile(r'(?<=.)(?:set|data|images|imgs)$')
_FILLER = {'set', 'data', 'dataset', 'seg', 'images', 'image', 'imgs', 'img', 'split', 'folder'}
_SERIES = re.compile(r'\D*\d+')  # fold1, split_2: parts of one data set


class Row(NamedTuple):
    """An image and what is known of it."""

    rel_path: str  # POSIX, below the data root
    label: str  # as written, in NFC
    split: str | None = None  # 'train', 'val', 'test'; None where the data define none
    group: str | None = None


@dataclass
class Found:
    """What was found in the data, and what was left out."""

    rows: list[Row] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)  # path, why
    notes: list[str] = field(default_factory=list)  # what a user should know, a line each

    def leave_out(self, paths: Iterable[str], why: str) -> None:
        """Note images that are not read."""
        self.left_out += [(path, why) for path in paths]

    def summary(self) -> str:
        """One line of counts by reason, or ''."""
        counts = Counter(why for _, why in self.left_out)
        parts = [f'{count:,} {why}' for why, count in counts.most_common()]
        return f'left out: {", ".join(parts)}' if parts else ''


@dataclass
class _Folder:
    path: str  # POSIX, below the data root; '' is the root
    images: list[str] = field(default_factory=list)  # directly in it
    below: dict[str, '_Folder'] = field(default_factory=dict)  # with images, by name

    @property
    def name(self) -> str:
        return self.path.rpartition('/')[2]

    @property
    def folders(self) -> list['_Folder']:
        return list(self.below.values())

    def add(self, path: str) -> None:
        folder = self
        for name in path.split('/')[:-1]:
            child = _Folder(f'{folder.path}/{name}'.lstrip('/'))
            folder = folder.below.setdefault(name, child)
        folder.images.append(path)

    def all_images(self) -> Iterator[str]:
        yield from self.images
        for folder in self.folders:
            yield from folder.all_images()

    def descend(self, passes: Callable[['_Folder', '_Folder'], bool]) -> '_Folder':
        """Go down while a folder holds but one other, and ``passes(folder, other)``."""
        folder = self
        while not folder.images and len(folder.folders) == 1 and passes(folder, *folder.folders):
            (folder,) = folder.folders
        return folder


def read_folders(root: Path) -> Found:
    """Rows of class folders, with or without folders of splits around or in them.

    Read are ``CLASS/...``, ``SPLIT/CLASS/...`` and ``CLASS/SPLIT/...``, each also below folders
    that hold nothing else (``archive/``, ``train/train/``). A split may be called as in
    well-known archives: train, training_set, seg_train, cars_train; likewise val and test. A
    folder called 'train' that holds images and no folders is a class beside other classes;
    unlabelled images beside classes are left out.

    Raises:
        InputError: no class folders; folders of splits beside others; splits without classes; a
            series such as fold1, fold2 with the same folders in each.
    """
    found, whole = Found(), _Folder('')
    for path, why in walk_images(root):
        if not why:
            whole.add(path)
        elif '/' in path or not path.startswith('descriptions'):  # the store beside images
            found.leave_out([path], why)
    top = whole.descend(lambda _, child: bool(child.folders) and not split_word(child.name))
    splits = _splits_among(top.folders)
    others = [folder.path for folder in top.folders if folder.path not in splits]
    inner = {f.path: f.descend(_same_or_filler) for f in top.folders if f.path in splits}
    with_classes = [path for path, folder in inner.items() if folder.folders]
    if with_classes and others:
        raise InputError(
            f'{root}: {some_of(list(splits))} look like folders of splits, and other folders '
            f'beside them do not: {some_of(others)}. {EXPECTED}',
            code='data.stray_folders',
        )
    if not splits or others:
        for folder in top.folders:
            split = splits.get(folder.path)
            if split in ('val', 'test'):
                raise InputError(
                    f'{root}: {folder.path} looks like the {split} split, but holds no class '
                    'folders: move it away, or rename it if it is a class',
                    code='data.stray_folders',
                )
            if split == 'unlabelled':
                _leave_out_split(folder, found)
                top.below[folder.name] = _Folder(folder.path)
        _note_inner_folders(root, top, found)
        _read_classes(root, top, None, found)
        return found
    if 'train' not in (splits[path] for path in with_classes):
        what = f'{root}: {some_of(list(splits))} look like splits'
        if 'train' in splits.values():
            raise InputError(
                f'{what}, but hold no class folders. {EXPECTED}', code='data.no_class_folders'
            )
        raise InputError(
            f'{what}, and none of them is for training. {EXPECTED}', code='data.no_training_split'
        )
    found.leave_out(top.images, 'images in no class folder')
    _read_splits(root, top, splits, inner, found)
    return found


def _same_or_filler(folder: _Folder, child: _Folder) -> bool:
    """Whether a folder within another says nothing new: train/train, train/images."""
    name = child.name.lower()
    return name == folder.name.lower() or bool(child.folders and name in _FILLER)


def _note_inner_folders(root: Path, top: _Folder, found: Found) -> None:
    """Say that folders within class folders are no classes; refuse what is a series of parts."""
    several = [f for f in top.folders if len(f.folders) > 1 and not _splits_among(f.folders)]
    if not several:
        return
    shared = set.intersection(*({f.name for f in folder.folders} for folder in several))
    names = some_of(sorted(shared) or [f.name for f in several[0].folders])
    outer = some_of([folder.path for folder in top.folders if any(folder.all_images())])
    if len(shared) > 1 and len(several) > 1 and all(_SERIES.fullmatch(f.name) for f in several):
        raise InputError(
            f'{root}: {outer} hold the same folders ({names}), so the classes are ambiguous. '
            f'{EXPECTED}',
            code='data.unsure_classes',
        )
    found.notes.append(f'the classes are {outer}; folders within them ({names}) are not classes')


def split_word(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Split and remaining words of a folder's name, if exactly one of its words names a split."""
    words = [word for word in re.split(r'[\W_\d]+', name.lower()) if word]
    hits = [i for i, word in enumerate(words) if _ENDING.sub('', word) in SPLIT_OF]
    if len(hits) != 1:
        return None
    split = SPLIT_OF[_ENDING.sub('', words[hits[0]])]
    return split, tuple(w for i, w in enumerate(words) if i != hits[0] and w not in _FILLER)


def _splits_among(folders: list[_Folder]) -> dict[str, str]:
    """Split by path of the folders that are called like one.

    Words beside train, val or test must be the same in at least two of the folders: 'cars_train'
    and 'cars_test' are splits, 'train_station' is none.
    """
    words = {folder.path: split_word(folder.name) for folder in folders}
    rests = Counter(found[1] for found in words.values() if found)
    return {p: f[0] for p, f in words.items() if f and (not f[1] or rests[f[1]] > 1)}


def _read_splits(
    root: Path, top: _Folder, splits: dict[str, str], inner: dict[str, _Folder], found: Found
) -> None:
    seen: dict[str, str] = {}
    for folder in top.folders:
        split, classes = splits[folder.path], inner[folder.path]
        if split == 'unlabelled' or not classes.folders:
            _leave_out_split(folder, found)
        elif seen.setdefault(split, folder.path) != folder.path:
            raise InputError(
                f'{root}: {seen[split]} and {folder.path} both look like the {split} split; '
                'merge them, or move one away',
                code='data.two_folders_of_a_split',
            )
        else:
            _read_classes(root, classes, split, found)


def _leave_out_split(folder: _Folder, found: Found) -> None:
    images = list(folder.all_images())
    found.leave_out(images, f'images in {folder.path} (no class folders)')
    found.notes.append(f'{folder.path}: {len(images):,} images in no class folder are left out')


def _read_classes(root: Path, top: _Folder, split: str | None, found: Found) -> None:
    if not top.folders:
        raise InputError(
            f'no images in class folders of {root / top.path}. {EXPECTED}',
            code='data.no_class_folders',
        )
    found.leave_out(top.images, 'images in no class folder')
    empty = [name for name in class_folders(root / top.path) if name not in top.below]
    if empty:
        found.notes.append(f'empty class folders are left out: {some_of(empty)}')
    for folder in top.folders:
        within = _splits_among(folder.folders)
        parts = [(folder, split)]
        by_split = split is None and not folder.images and 'train' in within.values()
        if by_split and len(within) == len(folder.folders):  # CLASS/SPLIT/...
            parts = [(f, within[f.path]) for f in folder.folders]
        for part, its_split in parts:
            if its_split == 'unlabelled':
                _leave_out_split(part, found)
                continue
            images = sorted(part.all_images(), key=natural_key)
            found.rows += [Row(path, nfc(folder.name), its_split) for path in images]
    divided = sorted({row.label for row in found.rows if row.split in ('val', 'test')})
    others = sorted({row.label for row in found.rows if not row.split})
    if divided and others:
        raise InputError(
            f'{root}: the images of {some_of(divided)} lie in folders of splits, and those of '
            f'{some_of(others)} do not, or not all of them: sort all of them so',
            code='data.stray_folders',
        )
