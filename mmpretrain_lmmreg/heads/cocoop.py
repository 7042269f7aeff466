"""CoCoOp: CoOp's context, shifted by each image."""

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..errors import InputError
from .coop import CoOpHead
from .inputs import HeadInputs


@MODELS.register_module()
class CoCoOpHead(CoOpHead):
    """Logits s * cos(x, g([V]_1 + h(x) ... [V]_M + h(x) [CLASS])); V and the meta-net h train.

    Zhou, Yang, Loy and Liu, "Conditional Prompt Learning for Vision-Language Models", CVPR 2022:
    h is linear, ReLU, linear, with D / 16 between. B images cost a pass of the text tower over
    B * N_c prompts, in training and in testing. Testing needs the text tower's weights, which are
    not in the checkpoint, and tools/test.py.

    Args:
        **kwargs: See :class:`CoOpHead`, ``class_specific`` apart.

    Raises:
        InputError: what :class:`CoOpHead` raises; a text tower other than in training.
    """

    inputs_at_test = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        length: int = 4,
        words: str | None = 'a photo of a',
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, length, words=words, **kwargs)
        if self.context.ndim == 3:
            raise InputError(
                'CoCoOp has one context for all classes: leave out class_specific',
                code='config.unknown_value',
            )
        hidden = max(in_channels // 16, 1)
        self.meta_net = nn.Sequential(
            nn.Linear(in_channels, hidden), nn.ReLU(), nn.Linear(hidden, self.context.shape[1])
        )

    def take_texts(self, inputs: HeadInputs) -> None:
        """Get the text tower ready, and check that it is the one of training."""
        super().take_texts(inputs)
        if inputs.trained:
            found, kept = (F.normalize(t, dim=1) for t in (self.class_weights(), self.text_weights))
            if not torch.allclose(found, kept, atol=1e-3):
                raise InputError(
                    'the text tower or the class names are not those that the '
                    'checkpoint was trained with: use those',
                    code='heads.other_text_tower',
                )

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Logits (B, N_c) of embeddings (B, D)."""
        self.check_ready()
        x = F.normalize(self.pre_logits(feats), dim=1)
        context = self.context + self.meta_net(x)[:, None]
        weights = F.normalize(self.prompts.embed(context), dim=2)
        return self.logit_scale * torch.einsum('bd,bcd->bc', x, weights)
