"""A classifier that starts from the class names and is averaged with its start."""

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..errors import require_range
from .zero_shot import ZeroShotHead


@MODELS.register_module()
class WiSEFTHead(ZeroShotHead):
    """Trains from the zero-shot weights, and tests with (1 - mix) * start + mix * trained weights.

    Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, for the linear
    classifier on frozen embeddings of unit length. As in the authors' code the logit scale is
    part of the weights, which start from s * t_c, and the classifier ``fc`` has a bias, which
    starts from 0.

    Args:
        mix: The paper's alpha: 0 is zero-shot, 1 plain fine-tuning; 0.5 is what it recommends
            where nothing is known about the test data.
        **kwargs: See :class:`ZeroShotHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, mix: float = 0.5, **kwargs) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        require_range('mix', mix, 0, 1)
        self.mix = mix
        self.fc = nn.Linear(in_channels, num_classes)

    def take_text_means(self, means: Tensor) -> None:
        """Start from these text embeddings, (N_c, D)."""
        super().take_text_means(means)
        self.fc.weight.data.copy_(self.logit_scale * self.text_weights)
        self.fc.bias.data.zero_()

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, N_c) of the trained weights, in eval of the mixed ones.

        The classifier is linear, so mixing weights is mixing logits.
        """
        trained = self.fc(x)
        return trained if self.training else torch.lerp(super().logits(x), trained, self.mix)
