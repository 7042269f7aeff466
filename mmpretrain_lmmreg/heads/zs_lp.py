"""A linear probe of unit embeddings and unit weights that starts from the texts."""

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .zero_shot import ZeroShotHead


@MODELS.register_module()
class ZSLPHead(ZeroShotHead):
    """Logits s * cos(x, p_c), where the prototypes p_c start from the class's texts and train.

    ZS-LP of Silva-Rodriguez, Hajimiri, Ben Ayed and Dolz, "A Closer Look at the Few-Shot
    Adaptation of Large Vision-Language Models", CVPR 2024. As in the authors' code a prototype
    starts from the mean of the text embeddings as they are: only its direction counts, but the
    longer it is, the slower it turns. The logit scale is fixed.

    Args:
        **kwargs: See :class:`ZeroShotHead`.
    """

    unit_prompts = False

    def __init__(self, num_classes: int, in_channels: int, **kwargs) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.prototypes = nn.Parameter(torch.zeros(num_classes, in_channels))

    def take_text_means(self, means: Tensor) -> None:
        """Start from these text embeddings, (N_c, D)."""
        super().take_text_means(means)
        self.prototypes.data.copy_(means)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, N_c) of unit embeddings (B, D)."""
        return self.logit_scale * x @ F.normalize(self.prototypes, dim=1).T
