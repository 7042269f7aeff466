"""The paper's regulariser with random targets."""

import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from .base import generator_of_step
from .class_mean_reg import ClassMeanRegHead, class_mean_distance
from .inputs import HeadInputs


@MODELS.register_module()
class RaFAHead(ClassMeanRegHead):
    """:class:`ClassMeanRegHead` whose targets are drawn from N(0, 1) anew for each image and step.

    Random feature alignment of Yamaguchi, Feng, Kanai, Adachi and Chijiwa, "Post-pre-training for
    Modality Alignment in Vision-Language Foundation Models" (CLIP-Refine), CVPR 2025. There images
    and texts of a post-pre-training both meet the same draw, and the distance is averaged over D
    (``reduction='element_mean'``) with weight 1; here only images train, against the labels.

    Args:
        **kwargs: See :class:`ClassMeanRegHead`, of which ``fc_init`` must stay.
    """

    def __init__(self, num_classes: int, in_channels: int, **kwargs) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))

    @classmethod
    def described_splits(cls, head: dict, means: dict) -> tuple[str, ...]:
        """None: no text is used."""
        return ()

    def set_up(self, inputs: HeadInputs) -> None:
        """Nothing is needed."""

    def describe_start(self, inputs: HeadInputs) -> None:
        """There are no class means to say anything of."""

    def _regulariser(self, x: Tensor, data_samples: list[DataSample]) -> Tensor:
        x = x if x.dtype == torch.float64 else x.float()
        targets = torch.randn(x.shape, generator=generator_of_step(int(self.steps))).to(x)
        self.steps += 1
        return class_mean_distance(x, targets, self.reduction)
