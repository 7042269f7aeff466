"""Whether a frozen trunk may run in bfloat16, and on how many images at a time it is fastest."""

import time
from copy import copy, deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from ..clip.backbone import AT_A_TIME, OpenCLIPVisual

IMAGES = 64
NUMBERS = (4, 16)  # images at a time on a CPU
SMALLEST_COSINE = 0.999


@dataclass
class Comparison:
    """The precision that was chosen, and why; ``cosine`` is the smallest, None if not computed."""

    precision: str
    reason: str
    cosine: float | None = None


@torch.no_grad()
def fastest_number(backbone: OpenCLIPVisual, images: Tensor) -> int:
    """On how many of ``images`` (N, 3, H, W) at a time the trunk is fastest, in its precision.

    Rounding may depend on that number, so it is measured once and kept. On a GPU, whose memory
    decides, and for fewer than 16 images it is the precision's rule.
    """
    if images.device.type != 'cpu' or len(images) < max(NUMBERS):
        return AT_A_TIME[backbone.precision]
    trials = [copy(backbone) for _ in NUMBERS]  # which share the weights
    for trial, number in zip(trials, NUMBERS, strict=True):
        trial.at_a_time = number
    seconds = _fastest(trials, images[: max(NUMBERS)], 1)
    return min(zip(seconds, NUMBERS, strict=True))[1]


@torch.no_grad()
def compare_precisions(backbone: OpenCLIPVisual, images: Tensor) -> Comparison:
    """Choose between float32 and bfloat16 for the trunk of a float32 backbone.

    bfloat16 is chosen where it is faster on a first batch of ``images`` (N, 3, H, W), and the
    cosine of its features to those of float32 is at least 0.999 for each image.
    """
    fast = deepcopy(backbone)
    fast.use_precision('bfloat16')
    seconds, fast_seconds = _fastest([backbone, fast], images[:8])
    if fast_seconds >= seconds:
        return Comparison('float32', f'bfloat16 takes {fast_seconds / seconds:.2f} times as long')
    pairs = [(backbone.forward_trunk(x), fast.forward_trunk(x)) for x in images.split(16)]
    # torch's min, unlike Python's, passes on what is no number
    cosine = torch.cat([torch.cosine_similarity(*pair) for pair in pairs]).min().item()
    # not >=: a cosine that is no number is refused, too
    if not cosine >= SMALLEST_COSINE:
        reason = f'bfloat16 is refused: smallest cosine to float32 {cosine:.5f} < {SMALLEST_COSINE}'
        return Comparison('float32', reason, cosine)
    ratio = seconds / fast_seconds
    reason = f'{ratio:.2f} times as fast, smallest cosine to float32 {cosine:.5f}'
    return Comparison('bfloat16', reason, cosine)


def _fastest(backbones: list[OpenCLIPVisual], images: Tensor, repeats: int = 2) -> list[float]:
    """Shortest forward pass of each, in seconds, after a first one that does not count."""
    seconds: list[list[float]] = [[] for _ in backbones]
    for _ in range(1 + repeats):
        for backbone, times in zip(backbones, seconds, strict=True):
            started = time.perf_counter()
            backbone.forward_trunk(images).cpu()  # which waits for a GPU
            times.append(time.perf_counter() - started)
    return [min(times[1:]) for times in seconds]
