"""Whether ``precision='auto'`` of a frozen trunk is bfloat16."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log
from mmpretrain.models import ImageClassifier
from torch import Tensor
from torch.utils.data import default_collate

from ..clip.backbone import OpenCLIPVisual
from ..io.table import VectorTable
from .images import first_images
from .keys import feature_cache_key

IMAGES = 8  # that float32 and bfloat16 are compared on
SMALLEST_COSINE = 0.999


def settle_precision(model: ImageClassifier, dataset: Any) -> None:
    """Decide ``precision='auto'`` of the trunk for a data set whose features are asked for.

    It is bfloat16 where the device has it and the smallest cosine to float32, on the first eight
    images, is at least 0.999. Where the table has such features already, nothing is computed.
    """
    backbone = model.backbone
    if backbone.precision != 'auto':
        return
    decided = [_decide(model, dataset) if is_main_process() else ('', '')]
    broadcast_object_list(decided)
    precision, reason = decided[0]
    print_log(f"precision='auto' is {precision}: {reason}", 'current')
    backbone.use_precision(precision)


def _decide(model: ImageClassifier, dataset: Any) -> tuple[str, str]:
    """The precision, and why."""
    if not has_bfloat16(next(model.backbone.parameters()).device):
        return 'float32', 'this device has no instructions for bfloat16'
    exact, fast = model.backbone, deepcopy(model.backbone)
    fast.use_precision('bfloat16')
    table = VectorTable('features', feature_cache_key(model, dataset, fast))
    if len(table):
        return 'bfloat16', f'{table.folder} has features in it'
    images = first_images(dataset, IMAGES)
    if not images:
        return 'float32', 'no image can be read'
    inputs = model.data_preprocessor(dict(inputs=default_collate(images)), training=False)['inputs']
    cosine = smallest_cosine(exact, fast, inputs)
    # not <: a cosine that is no number is refused, too
    passed = cosine >= SMALLEST_COSINE
    reason = f'the smallest cosine to float32 is {cosine:.5f}, {SMALLEST_COSINE} is asked for'
    return ('bfloat16' if passed else 'float32'), reason


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16, without which it is slower than float32."""
    if device.type != 'cpu':
        return device.type == 'cuda' and torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        words = set(Path('/proc/cpuinfo').read_text(encoding='utf-8').split())
    except OSError:  # no Linux
        return False
    return not words.isdisjoint({'avx512_bf16', 'amx_bf16', 'bf16'})


@torch.no_grad()
def smallest_cosine(exact: OpenCLIPVisual, fast: OpenCLIPVisual, images: Tensor) -> float:
    """The smallest cosine between two trunks' features of images (N, 3, H, W)."""
    pair = exact.forward_trunk(images), fast.forward_trunk(images)
    # torch's min, unlike Python's, passes on what is no number
    return torch.cosine_similarity(*pair).min().item()
