"""Folders as Hugging Face's ``datasets`` reads and writes them: ImageFolder, Arrow, Parquet."""

import io
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import InputError
from ..io.files import cache_dir, digest, make_folder, parse_json
from ..io.lock import locked
from .files import some_of
from .layouts import Found, split_word
from .lists import COLUMNS, MULTI_LABEL, NoColumnError, rows_of
from .pictures import IMAGE_SUFFIXES, natural_key, walk_images

_METADATA = ('metadata.csv', 'metadata.jsonl')
_TABLES = ('*.arrow', '*.parquet')
_EXPORT = 2  # to be raised where images are written otherwise


def read_imagefolder(root: Path, columns: Mapping[str, str] | str | None = None) -> Found | None:
    """Rows of ``metadata.csv`` or ``.jsonl`` beside the images, at most two folders down.

    None where there is no such file, or none names labels: class folders then do.

    Raises:
        InputError: no file has the ``columns``; an image is in two files; a bad line.
    """
    found, named, lacking = Found(), set[str](), None
    for folder, file in sorted((f.parent, f) for f in _at_most_two_down(root, 'metadata.*')):
        if file.name not in _METADATA:
            continue
        try:
            split = _split_of(folder.relative_to(root).parts)
            part = rows_of(root, file, folder, columns, split)
        except NoColumnError as error:
            lacking = error
            continue
        paths = {row.rel_path for row in part.rows}
        if paths & named:
            raise InputError(
                f'{file}: {some_of(sorted(paths & named))} are in another metadata file, too: list '
                'each image once',
                code='data.listed_twice',
            )
        named |= paths
        found.rows += part.rows
        found.notes += part.notes
    if not found.rows:
        if columns and lacking:
            raise lacking
        return None
    others = [path for path, why in walk_images(root) if not why and path not in named]
    found.leave_out(others, 'images that no metadata file names')
    return found


def _at_most_two_down(root: Path, pattern: str) -> Iterator[Path]:
    for depth in ('', '*/', '*/*/'):
        for path in root.glob(depth + pattern):
            if not any(p.startswith(('.', 'cache-')) for p in path.relative_to(root).parts):
                yield path


def _split_of(names: Iterable[str]) -> str | None:
    words = [split_word(re.split('[-.]', name)[0]) for name in names]
    return next((word[0] for word in words if word and word[0] != 'unlabelled'), None)


def exported_images(root: Path) -> Path | None:
    """Folder of a saved data set's images, ``SPLIT/CLASS/NUMBER.SUFFIX``; None of other folders.

    What ``save_to_disk`` and the Hub's Parquet files hold is written to the cache once. Images
    without a label come into ``SPLIT``.

    Raises:
        InputError: pyarrow is missing; no column of images, or none of class labels; several labels
            of an image.
    """
    tables = _tables(root)
    if not tables:
        return None
    stats = [(path.relative_to(root).as_posix(), path.stat()) for path, _ in tables]
    about = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    target = cache_dir('hugging-face') / digest([_EXPORT, str(root.resolve()), about])
    if target.is_dir():
        return target
    make_folder(target.parent)
    with locked(target.with_suffix('.lock'), instead=None):  # each process of a run comes here
        if not target.is_dir():
            unfinished = target.with_name(f'{target.name}.part')
            shutil.rmtree(unfinished, ignore_errors=True)
            for number, (path, split) in enumerate(tables):
                _write_images(path, number, unfinished / split)
            unfinished.rename(target)
    return target


def _tables(root: Path) -> list[tuple[Path, str]]:
    """Arrow and Parquet files with their splits."""
    found = [path for pattern in _TABLES for path in _at_most_two_down(root, pattern)]
    splits = [(path, _split_of(path.relative_to(root).parts) or 'train') for path in found]
    return sorted(splits, key=lambda item: natural_key(str(item[0])))


def _write_images(path: Path, number: int, folder: Path) -> None:
    for row, (label, content) in enumerate(_rows(path)):
        name = '' if label is None else label.replace('/', ' ').strip() or 'blank'
        file = folder / name / f'{number}-{row}{_suffix(content)}'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _suffix(content: bytes) -> str:
    """Of the image's kind, or ``.jpg``, where what reads the image finds out what it is."""
    with suppress(Exception), Image.open(io.BytesIO(content)) as image:
        if (suffix := f'.{image.format}'.lower()) in IMAGE_SUFFIXES:
            return suffix
    return '.jpg'


def _rows(path: Path) -> Iterator[tuple[str | None, bytes]]:
    """Label and image file of each row; no label is None, or -1 beside names of classes."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            f"{path} needs pyarrow: pip install 'mmpretrain_lmmreg[hf]'",
            code='data.package_missing',
        ) from None
    try:
        if path.suffix == '.parquet':
            file = pyarrow.parquet.ParquetFile(path)
            schema, batches = file.schema_arrow, file.iter_batches(256)
        else:
            batches = pyarrow.ipc.open_stream(pyarrow.memory_map(str(path)))
            schema = batches.schema
        image, label, names = _columns(path, schema)
        for batch in batches:
            for picture, value in zip(
                batch.column(image).to_pylist(), batch.column(label).to_pylist(), strict=True
            ):
                content = picture.get('bytes') if isinstance(picture, dict) else picture
                if content is None:
                    content = Path(picture['path']).read_bytes()
                if isinstance(value, list):
                    raise InputError(
                        f'{path}: several labels, {value!r}. {MULTI_LABEL}',
                        code='data.multi_label',
                    )
                if value is None or (names and value < 0):
                    yield None, content
                else:
                    yield (names[value] if names else str(value)), content
    except (pyarrow.ArrowException, OSError, TypeError, KeyError, IndexError) as error:
        raise InputError(
            f'{path} cannot be read as a data set of images: {error}', code='data.bad_table'
        ) from error


def _columns(path: Path, schema: Any) -> tuple[str, str, list[str]]:
    """Names of the image's and the label's column, and of the classes."""
    about = parse_json((schema.metadata or {}).get(b'huggingface', b'{}'), path)
    features = about.get('info', {}).get('features', {})
    features = {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    kinds = {name: feature.get('_type') for name, feature in features.items()}
    images = [name for name, kind in kinds.items() if kind == 'Image']
    images += [n for n in ('image', 'img') if n in schema.names]
    labels = [name for name, kind in kinds.items() if kind == 'ClassLabel']
    labels += [n for n in COLUMNS['label'] if n in schema.names]
    if not images or not labels:
        raise InputError(
            f'{path} has no column of images with labels, only {some_of(schema.names, 10)}',
            code='data.bad_table',
        )
    return images[0], labels[0], features.get(labels[0], {}).get('names') or []
