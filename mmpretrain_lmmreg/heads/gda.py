"""Gaussian discriminant analysis beside the zero-shot classifier."""

import logging
import math

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmpretrain.registry import MODELS
from torch import Tensor

from ..errors import require_range
from ..text.class_means import class_counts
from .zero_shot import ZeroShotHead

ROUNDING = 1e-12  # squared distance of unit embeddings that says nothing


@MODELS.register_module()
class GDAHead(ZeroShotHead):
    """Zero-shot logits plus alpha times the scores of a Gaussian classifier.

    Wang, Liang, Sheng, He, Wang and Tan, "A Hard-to-Beat Baseline for Training-free CLIP-based
    Adaptation", ICLR 2024: s * cos(x, t_c) + alpha * (w_c x + b_c) for x of unit length, see
    :func:`gaussian_classifier`. ``gda_weight`` and ``gda_bias`` are buffers. The authors fit on ten
    random crops of each image, this on one view.

    Args:
        alpha: Weight of the Gaussian classifier. The authors choose it on validation images from
            1e-4, 1e-3, ..., 1e2 and give no default.
        **kwargs: See :class:`ZeroShotHead`.
    """

    fits_images = True

    def __init__(self, num_classes: int, in_channels: int, alpha: float = 1.0, **kwargs) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        require_range('alpha', alpha, 0)
        self.alpha = alpha
        self.register_buffer('gda_weight', torch.zeros(num_classes, in_channels))
        self.register_buffer('gda_bias', torch.zeros(num_classes))

    def fit(self, x: Tensor, labels: Tensor) -> None:
        """Fit the Gaussian classifier to embeddings (N, D) and labels (N,)."""
        class_counts(labels, self.num_classes)
        x = F.normalize(x.double(), dim=1)
        weight, bias = gaussian_classifier(x, labels, self.num_classes)
        if not weight.any():
            text = 'GDA: one image a class has no covariance, so only the zero-shot logits count'
            print_log(text, 'current', level=logging.WARNING)
        self.gda_weight.copy_(weight)
        self.gda_bias.copy_(bias)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, N_c) of unit embeddings (B, D)."""
        return super().logits(x) + self.alpha * F.linear(x, self.gda_weight, self.gda_bias)


def gaussian_classifier(x: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Bayes' classifier of Gaussian classes with one covariance and equal priors.

    w_c = P m_c and b_c = log(1 / N_c) - m_c' P m_c / 2 with the class means m. The precision is
    the paper's shrunk estimate P = D * ((N - 1) S + tr(S) I)^-1, S the covariance within classes
    (after Kubokawa and Srivastava, 2008), which exists also for fewer images than dimensions.

    Args:
        x: Embeddings, (N, D); a class without any is put at the mean of all.
        labels: (N,).
        num_classes: N_c.

    Returns:
        w (N_c, D) and b (N_c,).
    """
    centre, members = x.mean(0), [x[labels == c] for c in range(num_classes)]
    means = torch.stack([each.mean(0) if len(each) else centre for each in members])
    covariance = torch.cov((x - means[labels]).T, correction=min(1, len(x) - 1))
    covariance = covariance * (covariance.trace() > ROUNDING)  # of one image a class, repeated
    size = torch.eye(x.shape[1]).to(x) * covariance.trace()
    scatter = (len(x) - 1) * covariance + size
    precision = x.shape[1] * torch.linalg.pinv(scatter, hermitian=True)
    weight = means @ precision
    return weight, -math.log(num_classes) - (weight * means).sum(1) / 2
