"""What names a feature table, and how its rows are found: by a file's state or content."""

import hashlib
import os
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

from mmpretrain.datasets import PackInputs
from mmpretrain.models import ImageClassifier

from ..datasets.samples import describe_transform, transforms_of
from ..descriptions import AttachDescriptions
from ..io.table import VectorTable

TEXT_TRANSFORMS = (AttachDescriptions, PackInputs)  # they leave the pixels as they are
BY_CONTENT = 'LMMREG_VERIFY_CONTENT'  # environment variable; 1 compares contents

Name = TypeVar('Name', bound=Hashable)


def feature_cache_key(model: ImageClassifier, dataset: Any, backbone: Any = None) -> dict:
    """Everything but the image file itself that determines a row of the feature table.

    Args:
        model: The classifier, whose preprocessor and backbone count.
        dataset: Its pipeline counts, less what leaves the pixels as they are.
        backbone: Instead of the classifier's.
    """
    pixels = [
        describe_transform(t) for t in transforms_of(dataset) if type(t) not in TEXT_TRANSFORMS
    ]
    prep = model.data_preprocessor
    settings = {
        name: getattr(prep, name, None) for name in ('to_rgb', 'pad_size_divisor', 'pad_value')
    }
    for name in ('mean', 'std'):
        value = getattr(prep, name, None)
        settings[name] = None if value is None else value.flatten().tolist()
    return dict(
        kind='trunk features',
        transforms=pixels,
        preprocessor=settings,
        trunk=(backbone or model.backbone).trunk_fingerprint(),
    )


def file_key(path: str, batch_size: int, view: str = '') -> str:
    """Path, batch size, view and :func:`stat_signature` of an image file, without its content.

    Rounding may depend on the batch size, so rows of one are not used in place of another's.
    """
    return f'{os.path.abspath(path)}\t{batch_size} {view}\t{stat_signature(path)}'


def stat_signature(path: str) -> str:
    """Size, times of writing and of change, and inode of a file; ``'missing'`` without one.

    A file that was replaced, or written again in place, has another state.
    """
    try:
        s = os.stat(path)
        return f'{s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino}'
    except OSError:
        return 'missing'


def contents_compared() -> bool:
    """Whether ``$LMMREG_VERIFY_CONTENT=1``: contents decide, not the states of files."""
    return os.environ.get(BY_CONTENT) == '1'


def row_key(key: str, content: str) -> str:
    """Name of a row in the table: :func:`file_key`'s, and :func:`content_of` the file."""
    return f'{key}\t{content}'


def content_of(path: str) -> str:
    """Hash of a file's content, 32 hex digits; '' where there is none to be read."""
    try:
        if not os.path.isfile(path):  # opening a FIFO would wait for a writer
            return ''
        with open(path, 'rb') as file:
            return hashlib.sha256(file.read()).hexdigest()[:32]
    except OSError:
        return ''


def find_rows(table: VectorTable, keys: Mapping[Name, str]) -> dict[Name, str]:
    """The name of each image's undamaged row in the table, where it has one.

    The table is gone through once for all keys, and each file is read once at most. A file whose
    state is the row's is taken to be unchanged; with ``$LMMREG_VERIFY_CONTENT=1`` each file is
    read, and its content decides alone.

    Args:
        table: The feature table.
        keys: :func:`file_key` of each image, by any name of it.
    """
    if contents_compared():
        known = {_without_state(row): row for row in table}
        contents = {path: content_of(path) for path in map(_path, keys.values())}
        names = {n: _without_state(row_key(k, contents[_path(k)])) for n, k in keys.items()}
    else:
        known = {row.rpartition('\t')[0]: row for row in table}
        names = dict(keys)
    found = {name: known[key] for name, key in names.items() if key in known}
    missing = set(table.missing(list(found.values())))
    return {name: row for name, row in found.items() if row not in missing}


def _path(key: str) -> str:
    return key.rsplit('\t', 2)[0]


def _without_state(row: str) -> str:
    file, _, content = row.rsplit('\t', 2)
    return f'{file}\t{content}'
