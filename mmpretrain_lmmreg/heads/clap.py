"""A linear probe that each class's zero-shot prototype holds as strongly as it deserves."""

import torch
from mmengine.logging import print_log
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from ..text.class_means import class_counts
from .zs_lp import ZSLPHead


@MODELS.register_module()
class CLAPHead(ZSLPHead):
    """ZS-LP with ``loss_clap``, the mean over the classes of lambda_c * ‖p_c - t_c‖².

    CLAP of Silva-Rodriguez et al., CVPR 2024: lambda_c is the mean zero-shot probability of class
    c over the training images of c, see :func:`class_multipliers`, and stays as it is, as in the
    authors' runs. Nothing is to be tuned. ``anchors`` t (N_c, D) and ``multipliers`` lambda (N_c,)
    are buffers, so that a resumed run goes on with the same.

    Args:
        **kwargs: See :class:`ZSLPHead`.
    """

    fits_images = True

    def __init__(self, num_classes: int, in_channels: int, **kwargs) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.register_buffer('anchors', torch.zeros(num_classes, in_channels))
        self.register_buffer('multipliers', torch.zeros(num_classes))

    def take_text_means(self, means: Tensor) -> None:
        """Start from these text embeddings, (N_c, D), and be held to them."""
        super().take_text_means(means)
        self.anchors.copy_(means)

    @torch.no_grad()
    def fit(self, x: Tensor, labels: Tensor) -> None:
        """Set the multipliers by embeddings (N, D) and labels (N,) of the training images."""
        self.multipliers.copy_(class_multipliers(self((x,)), labels, self.num_classes))
        low, high = self.multipliers.min().item(), self.multipliers.max().item()
        print_log(f'CLAP: multipliers of the classes between {low:.2g} and {high:.2g}', 'current')

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample], **kwargs) -> dict:
        """Cross entropy and ``loss_clap``; see mmpretrain's ``ClsHead.loss``."""
        losses = super().loss(feats, data_samples, **kwargs)
        distances = (self.prototypes - self.anchors).square().sum(1)
        losses['loss_clap'] = (self.multipliers * distances).mean()
        return losses


def class_multipliers(logits: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Mean probability of each class over its own images, (N_c,).

    Args:
        logits: Zero-shot, (N, N_c).
        labels: (N,).

    Raises:
        InputError: a class without images.
    """
    counts = class_counts(labels, num_classes)
    own = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    return torch.zeros_like(logits[0]).index_add_(0, labels, own) / counts
