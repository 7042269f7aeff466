"""Reading a person's own images: class folders, or a CSV or JSON list.

A row is a dict with ``rel_path``, ``label`` (as it is written), ``split`` (None where the data
define none) and ``group`` (None where there is none).
"""

import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingInputError
from .files import IMAGE_SUFFIXES, class_folders, is_image, natural_key, some_of
from .names import readable_name

SPLIT_NAMES = {
    'train': 'train',
    'training': 'train',
    'val': 'val',
    'valid': 'val',
    'validation': 'val',
    'test': 'test',
    'testing': 'test',
}
SPLITS = ('train', 'val', 'test')
Row = dict[str, Any]


def find_classes(data_root: str, ann_file: str = '') -> tuple[str, ...]:
    """Readable class names of own images, in the order of :class:`OwnImages`'s labels.

    Their number is a config's ``num_classes``. Mistakes in the data raise InputError.
    """
    return tuple(map(readable_name, labels_of(read_rows(data_root, ann_file))))


def read_rows(data_root: str, ann_file: str = '') -> list[Row]:
    """Rows of ``ann_file`` (below ``data_root``, or a path of its own), else of class folders."""
    root = Path(data_root).expanduser()
    if not root.is_dir():
        raise MissingInputError(
            f'no folder {str(root)!r}: data_root is the folder of your images '
            '(CUSTOM_ROOT=FOLDER for configs/lmmreg_custom.py)'
        )
    rows = read_list(root, ann_file) if ann_file else read_folders(root)
    _check_labels(rows, ann_file or str(data_root))
    return rows


def _check_labels(rows: list[Row], where: str) -> None:
    spellings, splits = defaultdict(list), defaultdict(set)
    for row in rows:
        splits[row['label']].add(row['split'] or 'train')
    for label in labels_of(rows):
        spellings[readable_name(label).casefold()].append(label)
    for same in spellings.values():
        if len(same) > 1:
            raise InputError(
                f'{where}: labels {", ".join(map(repr, same))} differ only in case, spacing or '
                f'numbering: spell them alike, or further apart'
            )
    if len(splits) < 2:
        raise InputError(f'{where}: only one class, {next(iter(splits))!r}; two or more are needed')
    untrained = [label for label, found in splits.items() if 'train' not in found]
    if untrained:
        found = sorted(set.union(*(splits[label] for label in untrained)))
        raise InputError(
            f'{where}: classes in {" and ".join(found)} that train lacks: {some_of(untrained)}'
        )


def labels_of(rows: list[Row]) -> list[str]:
    """The labels that occur, in natural order: a class's number is its place among them."""
    return sorted({row['label'] for row in rows}, key=natural_key)


def read_folders(root: Path) -> list[Row]:
    """Rows of ``root/<class>/...`` or ``root/{train,val,test}/<class>/...``.

    A folder called 'train' that holds images and no folders is a class, not a split.
    """
    folders = class_folders(root)
    splits = [f for f in folders if f.lower() in SPLIT_NAMES and class_folders(root / f)]
    if 'train' not in {SPLIT_NAMES[folder.lower()] for folder in splits}:
        return _read_classes(root, folders, None)
    stray = [f for f in folders if f not in splits and _images_below(root, f)]
    if stray:
        raise InputError(
            f'{root} has images in {some_of(stray)} beside the folders of splits '
            f'({", ".join(splits)}): move them into a split, or away'
        )
    rows = []
    for folder in splits:
        names = [f'{folder}/{name}' for name in class_folders(root / folder)]
        rows += _read_classes(root, names, SPLIT_NAMES[folder.lower()])
    return rows


def _read_classes(root: Path, folders: list[str], split: str | None) -> list[Row]:
    images = {folder: _images_below(root, folder) for folder in folders}
    empty = [str(root / folder) for folder, paths in images.items() if not paths]
    if empty or not folders:
        raise InputError(
            f'no images in {some_of(empty) or f"{root}: it has no class folders"}. Put the images '
            f'of each class into a folder of its own ({", ".join(IMAGE_SUFFIXES)}), or give a '
            f'list of paths and labels as ann_file (CUSTOM_LIST=FILE for configs/lmmreg_custom.py)'
        )
    return [
        {'rel_path': path, 'label': folder.rpartition('/')[2], 'split': split, 'group': None}
        for folder, paths in images.items()
        for path in paths
    ]


def _images_below(root: Path, folder: str) -> list[str]:
    found = []
    for at, folders, names in os.walk(root / folder):
        folders[:] = [name for name in folders if not name.startswith('.')]
        found += [Path(at, name).relative_to(root).as_posix() for name in names if is_image(name)]
    return sorted(found, key=natural_key)


def read_list(root: Path, ann_file: str) -> list[Row]:
    """Rows of a CSV with columns path,label[,split][,group], or a JSON list of such objects."""
    file = next((f for f in (root / ann_file, Path(ann_file)) if f.is_file()), None)
    if file is None:
        raise MissingInputError(f'no list {ann_file!r}, neither in {root} nor by itself')
    readers = {'.csv': _read_csv, '.json': _read_json}
    if file.suffix.lower() not in readers:
        raise InputError(f'{file} must be a .csv or a .json file')
    entries = list(readers[file.suffix.lower()](file))
    if not entries:
        raise InputError(f'{file} lists no images')
    _check_complete(file, entries)
    rows: dict[str, Row] = {}
    for where, entry in entries:
        row = _row(root, entry, f'{file}, {where}')
        other = rows.setdefault(row['rel_path'], row)
        if other is not row:
            raise InputError(
                f'{file}, {where}: {row["rel_path"]!r} is listed twice'
                + (f'. {_MULTI_LABEL}' if other['label'] != row['label'] else '')
            )
    return list(rows.values())


_MULTI_LABEL = 'Multi-label data is not supported: each image needs exactly one label'


def _read_csv(file: Path) -> Iterator[tuple[str, Mapping]]:
    with open(file, newline='', encoding='utf-8-sig') as lines:
        reader = csv.DictReader(lines, skipinitialspace=True)
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        if not {'path', 'label'} <= set(names):
            raise InputError(
                f'{file} needs a first line that names the columns path,label[,split][,group], '
                f'not {",".join(names)!r}'
            )
        reader.fieldnames = names
        for entry in reader:
            if None in entry:
                raise InputError(f'{file}, line {reader.line_num}: more fields than columns')
            yield f'line {reader.line_num}', entry


def _read_json(file: Path) -> Iterator[tuple[str, Mapping]]:
    try:
        entries = json.loads(file.read_text(encoding='utf-8-sig'))
    except json.JSONDecodeError as error:
        raise InputError(f'{file} is not JSON: {error}') from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f'{file} must be a list of {{"path": ..., "label": ...}}')
    for number, entry in enumerate(entries, 1):
        yield f'entry {number}', entry


def _check_complete(file: Path, entries: list[tuple[str, Mapping]]) -> None:
    for field in ('path', 'label'):
        missing = [where for where, e in entries if not str(_given(e, field)).strip()]
        if missing:
            raise InputError(f'{file}: no {field} in {some_of(missing)}')
    with_split = [bool(_given(entry, 'split')) for _, entry in entries]
    if any(with_split) and not all(with_split):
        where = entries[with_split.index(False)][0]
        raise InputError(f'{file}, {where}: no split, though other rows have one')


def _given(entry: Mapping, field: str) -> Any:
    value = entry.get(field)
    return '' if value is None else value


def _row(root: Path, entry: Mapping, where: str) -> Row:
    label = entry['label']
    if isinstance(label, list | tuple | dict) or any(mark in str(label) for mark in ';|'):
        raise InputError(f'{where}: several labels, {label!r}. {_MULTI_LABEL}')
    split = str(_given(entry, 'split')).strip()
    if split and split.lower() not in SPLITS:
        meant = SPLIT_NAMES.get(split.lower())
        hint = f'; did you mean {meant}?' if meant else ''
        raise InputError(f'{where}: split must be train, val or test, not {split!r}{hint}')
    path = os.path.relpath(os.path.join(os.path.abspath(root), str(entry['path']).strip()), root)
    if path.split(os.sep)[0] == os.pardir:
        raise InputError(f'{where}: {entry["path"]!r} is outside of the data root {root}')
    return {
        'rel_path': Path(path).as_posix(),
        'label': str(label).strip(),
        'split': split.lower() or None,
        'group': str(_given(entry, 'group')).strip() or None,
    }
