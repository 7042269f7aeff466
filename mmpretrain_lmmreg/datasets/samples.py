"""The samples behind any nesting of data sets, without decoding an image."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from mmcv.transforms import BaseTransform

from ..errors import InputError


def leaf_datasets(dataset: Any) -> list[Any]:
    """The data sets with a pipeline inside Concat-, Repeat-, ClassBalanced- and KFoldDataset."""
    if hasattr(dataset, 'datasets'):
        return [leaf for child in dataset.datasets for leaf in leaf_datasets(child)]
    for name in ('dataset', '_dataset'):
        if hasattr(dataset, name):
            return leaf_datasets(getattr(dataset, name))
    return [dataset]


def transforms_of(dataset: Any) -> list[Any]:
    """The transforms of a data set's pipeline, equal for all of its leaves.

    Raises:
        InputError: leaves with different pipelines.
    """
    pipelines = [leaf.pipeline.transforms for leaf in leaf_datasets(dataset)]
    described = [[describe_transform(t) for t in pipeline] for pipeline in pipelines]
    if any(other != described[0] for other in described[1:]):
        raise InputError(
            'the concatenated data sets have different pipelines; give them the same '
            "one, or train on images (train_cfg=dict(type='EpochBasedTrainLoop'))",
            code='data.other_pipelines',
        )
    return pipelines[0]


def describe_transform(transform: Any) -> dict:
    """Name and every setting of a transform, for comparison and fingerprints."""
    settings = {k: _plain(v) for k, v in vars(transform).items() if not k.startswith('_')}
    return dict(type=type(transform).__name__, **settings)


def _plain(value: Any) -> Any:
    """A setting without objects: a transform within a transform is described like one."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return describe_transform(value) if isinstance(value, BaseTransform) else value


def same_files(first: Iterable[str], second: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of files of the same content, one of each list: copies and hard links.

    Only files whose size occurs in both lists are read. Files that are empty or cannot be read are
    in no pair.
    """
    by_size: list[dict[int, list[str]]] = [defaultdict(list), defaultdict(list)]
    for sizes, paths in zip(by_size, (first, second), strict=True):
        for path in paths:
            with suppress(OSError):
                sizes[os.path.getsize(path)].append(path)
    contents: list[dict[str, str]] = [{}, {}]
    for size in (by_size[0].keys() & by_size[1].keys()) - {0}:
        for sizes, found in zip(by_size, contents, strict=True):
            for path in sizes[size]:
                with suppress(OSError), open(path, 'rb') as file:
                    found.setdefault(hashlib.sha256(file.read()).hexdigest(), path)
    return sorted((path, contents[1][n]) for n, path in contents[0].items() if n in contents[1])


def leads_out(infos: Iterable[dict]) -> list[tuple[str, str]]:
    """Samples whose file lies outside of their data root, through a link: (path, where it is).

    The data root itself may be a link. Links in folders' names are looked up once a folder.
    """
    real = cache(os.path.realpath)
    found = []
    for info in infos:
        path, root = os.path.abspath(info['img_path']), info.get('data_root')
        where = os.path.join(real(os.path.dirname(path)), os.path.basename(path))
        if os.path.islink(where):
            where = os.path.realpath(where)
        if root and os.path.commonpath([where, real(root)]) != real(root):
            found.append((path, where))
    return found


def iter_infos(dataset: Any) -> Iterator[dict]:
    """The info dicts of a data set's samples, each image once however often it is repeated."""
    seen = set()
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        path = os.path.abspath(info['img_path'])
        if path not in seen:
            seen.add(path)
            yield info
