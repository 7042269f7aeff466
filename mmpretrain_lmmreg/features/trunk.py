"""Run the frozen trunk once over the images of a data set, and keep what comes out."""

import os
import time
from functools import partial
from typing import Any

import torch
from mmcv.transforms import CenterCrop, LoadImageFromFile, Normalize, Pad, Resize
from mmengine.dist import all_gather_object, barrier, get_dist_info
from mmengine.logging import print_log
from mmpretrain.datasets import ResizeEdge
from mmpretrain.models import ImageClassifier
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from ..clip.backbone import CPU_BATCH
from ..datasets.loading import LoadPicture
from ..datasets.samples import iter_infos, transforms_of
from ..errors import InputError, UnreadableError
from ..io.table import StoredRows, VectorTable, not_finite
from ..progress import Progress
from .images import ImagesOf, collate
from .keys import TEXT_TRANSFORMS, feature_cache_key, file_key, find_rows, row_key
from .precision import settle_precision

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
TRUNK_BATCH = 64  # on a GPU, where the loader's batches have no fixed size
NAMED = 200  # unreadable images that a message lists
CHUNK, SECONDS = 1024, 10  # features are kept on disk after so many images or seconds


def trunk_features(
    model: ImageClassifier, images: DataLoader, views: int = 1
) -> tuple[Tensor | StoredRows, dict[str, int]]:
    """Trunk features of every image of a loader, computed where they are not on disk yet.

    They are computed in batches of one size, always full ones, since rounding may depend on the
    size of a batch: 8 on a CPU, the loader's on a GPU. Several processes share the work. An
    unreadable image does not stop the others.

    Args:
        model: The classifier, whose trunk runs.
        images: The loader.
        views: How many views of an image are drawn by random transforms. View k of an image is
            the same in every run.

    Returns:
        Features (views * U, D_trunk) of the U different images, view after view, in memory or read
        from disk by index where they take more than a GiB, and the row of each image's first view
        by absolute path.

    Raises:
        InputError: random transforms of one view, or batch augmentation, by name.
        UnreadableError: unreadable images, by file, once all the others are done.
    """
    dataset = images.dataset
    check_deterministic(model, dataset, views)
    settle_precision(model, dataset)
    paths = list(dict.fromkeys(os.path.abspath(info['img_path']) for info in iter_infos(dataset)))
    on_cpu = next(model.backbone.parameters()).device.type == 'cpu'
    batch_size = CPU_BATCH if on_cpu else images.batch_size or TRUNK_BATCH
    table = VectorTable('features', feature_cache_key(model, dataset))
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
        if len(found) < len(keys):
            raise InputError(
                f'{table.folder} lacks the features of {len(keys) - len(found)} images, which this '
                'run has computed: several machines need $LMMREG_CACHE and the images on a disk '
                'that all of them share, at the same path',
                code='features.not_shared',
            )
    stored = table.stored([found[name] for name in keys])
    return stored.if_small(), {path: row for row, path in enumerate(paths)}


def fill(
    model: ImageClassifier,
    images: DataLoader,
    table: VectorTable,
    paths: list[str],
    missing: dict[str, str],
    batch_size: int,
    view: str,
) -> None:
    """Compute a view of the missing ones of some images, whose keys are given by path."""
    there = f'{len(paths) - len(missing)} of {len(paths)} images have features'
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
            f'{len(failed)} of {len(paths)} images cannot be read; repair or remove '
            'them (the features of the others are kept):\n' + '\n'.join(failed[:NAMED]) + more,
            code='features.unreadable',
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
                '(train_cfg.views=16)',
                code='features.random_images',
            )
    augments = getattr(model.data_preprocessor, 'batch_augments', None)
    if augments is not None:
        names = ', '.join(type(a).__name__ for a in augments.augments)
        raise InputError(
            f'batch augmentation ({names}) mixes images at random: {advice}',
            code='features.random_images',
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
            if wrong := not_finite(rows[-1]):
                raise InputError(
                    f'the trunk in {model.backbone.precision} gives values that are not finite for '
                    f'{paths[wrong[0]]}: its weights are damaged, or overflow '
                    "(model.backbone.precision='float32' does not)",
                    code='features.not_finite',
                )
            names = [keys[os.path.abspath(path)] for path in paths]
            done += map(row_key, names, contents)
            if len(done) >= CHUNK or time.monotonic() - kept >= SECONDS:
                table.add(done, torch.cat(rows))
                done, rows, kept = [], [], time.monotonic()
    if done:
        table.add(done, torch.cat(rows))
    return failed
