"""Mixtures of images and texts as hard negatives while the projection trains."""

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from .base import generator_of_step
from .class_mean_reg import ClassMeanRegHead
from .inputs import HeadInputs


@MODELS.register_module()
class M2MixHead(ClassMeanRegHead):
    """:class:`ClassMeanRegHead` with :func:`m2_mix_loss` in place of the squared distance.

    Oh, So, Byun, Lim, Shin, Jeon and Song, "Geodesic Multi-Modal Mixup for Robust Fine-Tuning",
    NeurIPS 2023: pairs of image and caption, both towers train, this loss beside CLIP's. Here an
    image's text is its class mean, images of its class are no negatives, and the loss stands beside
    the cross entropy of the labels; one share, uniform as in the code's default, is drawn a step.

    Args:
        alpha: Weight of the loss; 0.01 in the authors' code.
        temperature: Of the similarities; 0.01 likewise.
        **kwargs: See :class:`ClassMeanRegHead`, of which ``reduction`` plays no part.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        alpha: float = 0.01,
        temperature: float = 0.01,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, alpha=alpha, **kwargs)
        self.temperature = temperature
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))

    def describe_start(self, inputs: HeadInputs) -> None:
        """The scale of embeddings plays no part."""

    def _regulariser(self, x: Tensor, data_samples: list[DataSample]) -> Tensor:
        labels = torch.cat([sample.gt_label for sample in data_samples])
        share = torch.rand((), generator=generator_of_step(int(self.steps))).item()
        self.steps += 1
        texts = self._targets(data_samples, len(x))
        return m2_mix_loss(x.float(), texts, labels, share, self.temperature)


def geodesic_mix(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Points on the great circles from b (share 0) to a (share 1), (B, D); a and b are unit."""
    angle = (a * b).sum(1, keepdim=True).clamp(-1 + 1e-6, 1 - 1e-6).acos()
    return ((share * angle).sin() * a + ((1 - share) * angle).sin() * b) / angle.sin()


def m2_mix_loss(
    x: Tensor, texts: Tensor, labels: Tensor, share: float, temperature: float
) -> Tensor:
    """Tell each image's own text from the other pairs' mixtures, and the reverse, a scalar.

    Cross entropy of x_i t_i against x_i m_j, plus that of t_i x_i against t_i m_j, for unit x and
    t and m_j on the way from t_j to x_j.

    Args:
        x: Embeddings, (B, D), of any length.
        texts: The text of each, (B, D), likewise.
        labels: (B,); pairs of one class are no negatives of each other.
        share: Of the image in a mixture.
        temperature: Divides the cosines.
    """
    x, texts = F.normalize(x, dim=1), F.normalize(texts, dim=1)
    mixed = geodesic_mix(x, texts, share)
    same = labels[:, None] == labels
    own, positive = torch.eye(len(x), dtype=torch.bool, device=x.device), (x * texts).sum(1)
    loss = x.new_zeros(())
    for side in (x, texts):
        scores = (side @ mixed.T).masked_fill(same, -torch.inf)
        scores = torch.where(own, positive[:, None], scores) / temperature
        loss = loss + F.cross_entropy(scores, torch.arange(len(x), device=x.device))
    return loss
