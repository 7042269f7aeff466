"""The frozen trunk beside open_clip's own precisions, a matrix product, and files on disk."""

import itertools
import logging
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path

import open_clip
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS, MODELS
from open_clip.transformer import VisionTransformer
from torch.utils.data import DataLoader, default_collate

from mmpretrain_lmmreg.clip.backbone import CPU_BATCH
from mmpretrain_lmmreg.config import config_folder
from mmpretrain_lmmreg.features.images import ImagesOf, collate
from mmpretrain_lmmreg.features.precision import SMALLEST_COSINE, has_bfloat16, smallest_cosine
from mmpretrain_lmmreg.features.trunk import compute
from mmpretrain_lmmreg.io.table import VectorTable

from .measure import Row, in_turns

RIVALS = ('fp32', 'bf16', 'pure_bf16')
BATCH = 16  # images of a turn
FILES = 8 * BATCH  # at most; a few batches would mostly time the start of the workers
RIVAL_SIZES = (4, BATCH)  # images at a time
PRODUCTS, SIDE = 10, 2048  # matrix products a turn, and their size


def trunk_rows(folder: Path, pictures: list[Path], model_name: str, repeats: int = 5) -> list[Row]:
    """``trunk_vs_open_clip``, ``trunk_vs_matmul`` and ``jpeg_vs_forward``, with random weights.

    ``pictures``: image files, at least a batch of 16, up to eight for the last row.
    """
    cfg = Config.fromfile(config_folder() / 'lmmreg_bar.py')
    cfg.model.backbone.update(model_name=model_name, pretrained=None, precision='auto')
    model = MODELS.build(cfg.model).eval()
    dataset, files = _dataset(cfg, folder, pictures, model.backbone.visual.image_size[0])
    batch = default_collate([dataset[i]['inputs'] for i in range(BATCH)])
    images = model.data_preprocessor(dict(inputs=batch), training=False)['inputs']
    exact = deepcopy(model.backbone)
    if has_bfloat16(images.device):
        model.backbone.use_precision('bfloat16')
    cosine = smallest_cosine(exact, model.backbone, images)
    passed = cosine >= SMALLEST_COSINE

    rivals = {
        (name, size): task
        for name in RIVALS
        for size, task in _rivals(model_name, name, images).items()
    }
    trial = in_turns(rivals, repeats=1)
    best = min(trial, key=trial.get)
    factor = torch.randn(SIDE, SIDE).to(model.backbone.visual.conv1.weight.dtype)

    def forward() -> None:
        with torch.no_grad():
            model.backbone.forward_trunk(images)

    turns = itertools.count()

    def from_files() -> None:
        loader = DataLoader(files, BATCH, num_workers=2, collate_fn=collate)
        keys = {str(path): str(path) for path in map(_path_of(files), range(len(files)))}
        unreadable = compute(model, loader, VectorTable('benchmark', dict(turn=next(turns))), keys)
        assert not unreadable, unreadable

    seconds = in_turns(
        {
            'ours': forward,
            'rival': rivals[best],
            'at once': rivals[best[0], BATCH],
            'files': from_files,
            'product': lambda: [factor @ factor for _ in range(PRODUCTS)],
        },
        repeats,
    )
    rate, rival = BATCH / seconds['ours'], BATCH / seconds['rival']
    end_to_end = len(files) / seconds['files']
    speed = rate * vit_flops(model.backbone.visual) / 1e9
    limit = PRODUCTS * 2 * SIDE**3 / seconds['product'] / 1e9
    ours = f'{model_name} in {model.backbone.precision} on {CPU_BATCH} at a time'
    close = {f'smallest cosine to float32 {cosine:.5f} ≥ {SMALLEST_COSINE}': passed}
    return [
        Row(
            'trunk_vs_open_clip',
            f'trunk, {ours}, images/s, beside open_clip {best[0]} on '
            f'{best[1]} images at a time ({seconds["at once"] / seconds["ours"]:.2f} times its '
            f'speed on {BATCH})',
            rate,
            rival,
            rate / rival,
            1.1,
            close,
        ),
        Row(
            'trunk_vs_matmul',
            f'the same, GFLOP/s, beside a product of {SIDE}² matrices',
            speed,
            limit,
            speed / limit,
            0.85,
            {},
        ),
        Row(
            'jpeg_vs_forward',
            f'image file → feature, images/s of {len(files)}, beside the bare forward',
            end_to_end,
            rate,
            end_to_end / rate,
            0.9,
            {},
        ),
    ]


def vit_flops(visual: VisionTransformer) -> float:
    """Floating-point operations of one image: matrix products, two for each multiply-add."""
    tokens, width = visual.positional_embedding.shape
    layers = len(visual.transformer.resblocks)
    hidden = visual.transformer.resblocks[0].mlp.c_fc.out_features
    block = 2 * tokens * width * (4 * width + 2 * hidden) + 4 * tokens**2 * width
    return layers * block + 2 * (tokens - 1) * visual.conv1.weight.numel()


def _dataset(cfg: Config, folder: Path, pictures: list[Path], size: int):
    """The pictures as a data set with the config's pipeline, and as the feature pass reads it."""
    (folder / 'pictures').mkdir(parents=True)
    for number, path in enumerate(pictures[:FILES]):
        (folder / 'pictures' / f'{number}{path.suffix}').symlink_to(path.resolve())
    pipeline = cfg.test_pipeline
    for transform in pipeline:
        transform.update({k: size for k in ('scale', 'crop_size') if k in transform})
    dataset = DATASETS.build(
        dict(
            type='CustomDataset',
            data_root=str(folder),
            data_prefix='pictures',
            with_label=False,
            pipeline=pipeline,
        )
    )
    paths = [
        str((folder / 'pictures' / p.name).absolute()) for p in (folder / 'pictures').iterdir()
    ]
    return dataset, ImagesOf(dataset, paths)


def _path_of(files: ImagesOf) -> Callable[[int], Path]:
    return lambda index: Path(files.infos[index]['img_path']).absolute()


def _rivals(model_name: str, precision: str, images: torch.Tensor) -> dict[int, Callable[[], None]]:
    """open_clip on all images at once, and on four at a time, by their number."""
    logging.disable(logging.WARNING)  # the weights are meant to be random
    model = open_clip.create_model(model_name, pretrained=None, precision=precision).eval()
    logging.disable(logging.NOTSET)
    images = images.to(torch.float32 if precision == 'fp32' else torch.bfloat16)

    @torch.no_grad()
    def encode(size: int) -> None:
        for part in images.split(size):
            model.encode_image(part)

    return {size: partial(encode, size) for size in RIVAL_SIZES}
