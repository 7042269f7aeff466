"""Run the frozen trunk once over the images of a data set, and keep what comes out."""

import logging
import os
import shutil
import time
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from mmcv.transforms import CenterCrop, LoadImageFromFile, Normalize, Pad, Resize
from mmengine.dist import (
    all_gather_object,
    barrier,
    broadcast_object_list,
    get_dist_info,
    is_main_process,
)
from mmengine.logging import print_log
from mmpretrain.datasets import PackInputs, ResizeEdge
from mmpretrain.models import ImageClassifier
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from ..datasets.loading import LoadPicture
from ..datasets.samples import describe_transform, iter_infos, transforms_of
from ..descriptions import AttachDescriptions
from ..errors import InputError, UnreadableError
from ..io.files import cache_dir, digest, read_sealed, save_atomic, sealed
from ..io.table import StoredRows, VectorTable, not_finite
from ..progress import Progress
from .images import ImagesOf, collate, first_images
from .keys import file_key, find_rows, row_key
from .precision import IMAGES, compare_precisions, fastest_number

# Exactly these classes: one that inherits from them may be random
PIXEL_TRANSFORMS = (
    LoadPicture,
    LoadImageFromFile,
    Resize,
    ResizeEdge,
    CenterCrop,
    Pad,
    Normalize,
)
TEXT_TRANSFORMS = (AttachDescriptions, PackInputs)
TRUNK_BATCH = 64  # where the loader's batches have no fixed size
NAMED = 200  # unreadable images that a message lists
CHUNK, SECONDS = 1024, 10  # features are kept on disk after so many images or seconds


def trunk_features(
    model: ImageClassifier, images: DataLoader, views: int = 1
) -> tuple[Tensor | StoredRows, dict[str, int]]:
    """Trunk features of every image of a loader, computed where they are not on disk yet.

    They are computed in batches of the loader's size, always full ones, since rounding may depend
    on the size of a batch. Several processes share the work. An unreadable image does not stop
    the others.

    Args:
        views: How many views of an image are drawn by random transforms. View k of an image is
            the same in every run.

    Returns:
        Features (views * U, D_trunk) of the U different images, view after view, in memory or read
        from disk by index where they take more than a GiB, and the row of each image's first view
        by absolute path.

    Raises:
        InputError: random transforms of one view, or batch augmentation, by name; views for which
            the disk has no room.
        UnreadableError: unreadable images, by file, once all the others are done.
    """
    dataset = images.dataset
    check_deterministic(model, dataset, views)
    settle_precision(model, dataset)
    paths = list(dict.fromkeys(os.path.abspath(info['img_path']) for info in iter_infos(dataset)))
    batch_size = min(images.batch_size or TRUNK_BATCH, len(paths))
    table = VectorTable('features', trunk_about(model, dataset))
    if views > 1:
        check_room(table, model.backbone.trunk_dim, len(paths) * views)
    names = [f'view {view}' for view in range(views)] if views > 1 else ['']
    keys = {(view, path): file_key(path, batch_size, view) for view in names for path in paths}
    found = find_rows(table, keys)
    for view in names:
        missing = {path: keys[view, path] for path in paths if (view, path) not in found}
        fill(model, images, table, paths, missing, batch_size, view)
    barrier()
    if len(found) < len(keys):
        table.refresh()
        found = find_rows(table, keys)
        _check_shared(table, len(keys) - len(found))
    stored = table.stored([found[name] for name in keys])
    return stored.if_small(), {path: row for row, path in enumerate(paths)}


def _check_shared(table: VectorTable, lacking: int) -> None:
    """Refuse a table without rows that some process has computed."""
    if lacking:
        raise InputError(
            f'{table.folder} lacks the features of {lacking} images, which this run has computed: '
            'several machines need $LMMREG_CACHE and the images on a disk that all of them share, '
            'at the same path'
        )


def fill(
    model: ImageClassifier,
    images: DataLoader,
    table: VectorTable,
    paths: list[str],
    missing: dict[str, str],
    batch_size: int,
    view: str,
) -> None:
    """Compute a view of the missing ones of some images, whose keys are given by path.

    Raises:
        UnreadableError: see :func:`trunk_features`.
    """
    there = f'{len(paths) - len(missing)} of {len(paths)} images are there'
    which = f' ({view})' if view else ''
    print_log(f'feature table {table.folder}: {there}{which}', 'current')
    rank, world = get_dist_info()  # shares of all images: each process finds others missing
    todo = [path for path in paths[rank::world] if path in missing]
    loader = DataLoader(
        ImagesOf(images.dataset, todo, view or None),
        batch_size,
        num_workers=images.num_workers,
        collate_fn=collate,
        generator=torch.Generator(),
    )
    failed = compute(model, loader, table, missing) if todo else []
    failed = [line for lines in all_gather_object(failed) for line in lines]
    if failed:
        more = f'\nand {len(failed) - NAMED} more' * (len(failed) > NAMED)
        raise UnreadableError(
            f'{len(failed)} of {len(paths)} images cannot be read; mend or remove '
            'them (the features of the others are kept):\n' + '\n'.join(failed[:NAMED]) + more
        )


def check_room(table: VectorTable, dim: int, rows: int) -> None:
    """Refuse more rows of float32 than the disk of the table has room for."""
    wanted, free = 4 * dim * max(rows - len(table), 0), shutil.disk_usage(table.folder).free
    if wanted > free:
        raise InputError(
            f'train_cfg.views: features of {rows:,} views take {wanted / 2**30:.1f} GiB, and '
            f'{table.folder} has room for {free / 2**30:.1f}; set fewer views, or $LMMREG_CACHE to '
            'a folder on another disk'
        )


def check_deterministic(model: ImageClassifier, dataset: Any, views: int = 1) -> None:
    """Refuse by name what would make an image's features differ from epoch to epoch."""
    advice = (
        'the frozen trunk runs once, so an image must look the same in every epoch; remove '
        "it, or train on images (train_cfg.type='EpochBasedTrainLoop')"
    )
    for transform in transforms_of(dataset) if views == 1 else ():
        if type(transform) not in PIXEL_TRANSFORMS + TEXT_TRANSFORMS:
            name = type(transform).__name__
            raise InputError(
                f"transform '{name}' may be random: {advice}, or keep 16 views of each image "
                '(train_cfg.views=16)'
            )
    augments = getattr(model.data_preprocessor, 'batch_augments', None)
    if augments is not None:
        names = ', '.join(type(a).__name__ for a in augments.augments)
        raise InputError(f'batch augmentation ({names}) mixes images at random: {advice}')


def trunk_about(model: ImageClassifier, dataset: Any) -> dict:
    """Everything but the image file itself that determines a row of the feature table."""
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
        trunk=model.backbone.trunk_fingerprint(),
    )


def settle_precision(model: ImageClassifier, dataset: Any) -> None:
    """Decide ``precision='auto'`` of the trunk, once for these weights and this preprocessing.

    The first process measures on the first images that can be read; what it found is kept beside
    the feature tables, and a model that has been trained knows its own.
    """
    backbone = model.backbone
    if backbone.precision != 'auto':
        return
    decided = [_decide(model, dataset) if is_main_process() else None]
    broadcast_object_list(decided)
    if decided[0]:  # else no image can be read, which ends the run with their names
        found = decided[0]
        print_log(f"precision='auto' is {found['precision']}: {found['reason']}", 'current')
        backbone.use_precision(found['precision'], found['at_a_time'])


def _decide(model: ImageClassifier, dataset: Any) -> dict | None:
    """The kept comparison of precisions on this device, or a new one; None without images."""
    device = next(model.backbone.parameters()).device
    is_gpu = device.type == 'cuda'
    about = dict(
        trunk_about(model, dataset),
        device=torch.cuda.get_device_name(device)
        if is_gpu
        else torch.backends.cpu.get_cpu_capability(),
    )
    path = cache_dir('features') / f'precision-{digest(about)}.json'
    try:
        found = read_sealed(path) if path.exists() else {}
    except InputError as error:
        print_log(f'{error}: it is measured again', 'current', level=logging.WARNING)
        found = {}
    if not {'precision', 'reason', 'at_a_time'} <= found.keys():
        images = first_images(dataset, IMAGES)
        if not images:
            return None
        data = model.data_preprocessor(dict(inputs=default_collate(images)), training=False)
        found = vars(compare_precisions(model.backbone, data['inputs']))
        chosen = deepcopy(model.backbone)
        chosen.use_precision(found['precision'])
        found['at_a_time'] = fastest_number(chosen, data['inputs'])
        with save_atomic(path) as file:
            file.write(sealed(dict(found, about=about)))
    return found


def _check_finite(features: Tensor, paths: Sequence[str], precision: str) -> None:
    wrong = not_finite(features)
    if wrong:
        raise InputError(
            f'the trunk in {precision} gives values that are not finite for {paths[wrong[0]]}: '
            "its weights are damaged, or overflow (model.backbone.precision='float32' does not)"
        )


@torch.no_grad()
def compute(
    model: ImageClassifier, loader: DataLoader, table: VectorTable, keys: dict[str, str]
) -> list[str]:
    """Add the features of a loader's images to the table; returns a line for each unreadable."""
    failed: list[str] = []
    done: list[str] = []
    rows: list[Tensor] = []
    images_of: Any = loader.dataset
    log = partial(print_log, logger='current')
    with Progress('images through the trunk', len(images_of), log) as progress:
        kept = time.monotonic()
        for paths, images, contents, errors in loader:
            failed += errors
            progress.advance(len(images) + len(errors))
            if not images:
                continue
            full = images + images[-1:] * ((loader.batch_size or 1) - len(images))
            data = model.data_preprocessor(dict(inputs=default_collate(full)), training=False)
            features = model.backbone.forward_trunk(data['inputs'])
            rows.append(features[: len(images)].cpu())
            _check_finite(rows[-1], paths, model.backbone.precision)
            names = [keys[os.path.abspath(path)] for path in paths]
            done += map(row_key, names, contents)
            if len(done) >= CHUNK or time.monotonic() - kept >= SECONDS:
                table.add(done, torch.cat(rows))
                done, rows, kept = [], [], time.monotonic()
    if done:
        table.add(done, torch.cat(rows))
    return failed
