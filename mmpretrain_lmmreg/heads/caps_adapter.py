"""CapS-Adapter: Tip-Adapter whose cache holds the captions of the images, too."""

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor

from ..errors import require_range
from ..text.class_sentences import attach_of
from .image_text import embed_means
from .inputs import HeadInputs
from .tip_adapter import TipAdapterHead

CHUNK = 1024  # images whose distances to all others are in memory at a time


@MODELS.register_module()
class CapSAdapterHead(TipAdapterHead):
    """Zero-shot logits plus alpha * sum over i of exp(-beta (1 - a_i)) plus gamma * sum of -k_i.

    Wang, Liu and Wang, "CapS-Adapter: Caption-based MultiModal Adapter in Zero-Shot
    Classification", 2024: a_i = (1 - delta) cos(x, image i) + delta cos(x, caption i), each term
    counting for the class of i; k_i is the divergence KL(p(x) || p(image i)) of the signatures
    p(x) = softmax(cos(x, t) / 0.5), scaled to the range of a. A caption is the mean of an image's
    descriptions, or its own embedding where there are none. The authors' code scales k by its range
    over all test images, and takes the softmax of the embeddings themselves; here the ranges are
    those of the training images, so that an image's class does not depend on others.

    Args:
        alpha, beta: As of Tip-Adapter.
        gamma: Weight of the divergences.
        delta: Share of the captions. The authors choose all four on validation images.
        **kwargs: See :class:`ZeroShotHead`.
    """

    TEMPERATURE = 0.5
    described = True
    any_length = (*TipAdapterHead.any_length, 'captions')

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        gamma: float = 0.1,
        delta: float = 0.5,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        require_range('delta', delta, 0, 1)
        self.gamma, self.delta = gamma, delta
        self.register_buffer('captions', torch.zeros(0, in_channels))
        self.register_buffer('ranges', torch.zeros(2, 2))  # of a and of k: smallest, largest

    def set_up(self, inputs: HeadInputs) -> None:
        """Take over class names, training images and their descriptions."""
        super().set_up(inputs)
        if not inputs.trained:
            attach = attach_of(
                inputs.dataset, 'CapSAdapterHead needs the descriptions of the training images'
            )
            captions = [attach.lookup(info) for info in inputs.infos]
            self.take_captions(embed_means(captions, inputs.text_tower))

    @torch.no_grad()
    def take_captions(self, captions: Tensor) -> None:
        """Keep the mean caption of each training image, (N, D), zeros where there is none."""
        captions = captions.to(self.keys)
        captions = torch.where(captions.any(1, keepdim=True), captions, self.keys)
        self.captions = F.normalize(captions, dim=1)
        ends = [
            torch.stack([torch.stack(part.aminmax()) for part in self._compare(x)])
            for x in self.keys.split(CHUNK)
        ]
        low, high = torch.stack(ends).unbind(-1)
        self.ranges = torch.stack([low.amin(0), high.amax(0)], dim=1)

    def _compare(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """a and k of unit x (B, D) to each of N training images, (B, N) each."""
        a = torch.lerp(x @ self.keys.T, x @ self.captions.T, self.delta)
        p, q = (
            (each @ self.text_weights.T / self.TEMPERATURE).log_softmax(1)
            for each in (x, self.keys)
        )
        return a, (p.exp() * p).sum(1, keepdim=True) - p.exp() @ q.T

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, N_c) of unit embeddings (B, D)."""
        a, k = self._compare(x)
        (low, high), (nearest, farthest) = self.ranges
        k = low + (k - nearest) / (farthest - nearest).clamp_min(1e-12) * (high - low)
        scores = self.alpha * (self.beta * (a - 1)).exp() - self.gamma * k
        values = F.one_hot(self.key_labels, self.num_classes).to(x)
        return self.logit_scale * x @ self.text_weights.T + scores @ values
