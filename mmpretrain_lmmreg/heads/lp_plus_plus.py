"""LP++: a linear probe beside learned multiples of the text embeddings."""

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmpretrain.registry import MODELS
from torch import Tensor

from ..text.class_means import class_counts
from .zero_shot import ZeroShotHead

MOMENTUM = 0.9
ALPHA_EVERY = 10  # steps of the weights for one of the multiples
ALPHA_START = 250.0


@MODELS.register_module()
class LPPlusPlusHead(ZeroShotHead):
    """Logits w_c x + b_c + alpha_c * t_c x for x and t_c of unit length; w, b and alpha are fitted.

    Huang, Shakeri, Dolz, Boudiaf, Bahig and Ben Ayed, "LP++: A Surprisingly Strong Linear Probe for
    Few-Shot CLIP", CVPR 2024, see :func:`fit_lp_plus_plus`: start and step sizes come from the
    data. ``weight`` (N_c, D), ``bias`` and ``text_multiples`` (N_c,) are buffers.

    Args:
        steps: Of full batches; the authors take the best of 300 by validation images, here the
            last counts.
        **kwargs: See :class:`ZeroShotHead`; ``logit_scale`` plays no part.
    """

    fits_images = True

    def __init__(self, num_classes: int, in_channels: int, steps: int = 300, **kwargs) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.steps = steps
        self.register_buffer('weight', torch.zeros(num_classes, in_channels))
        self.register_buffer('bias', torch.zeros(num_classes))
        self.register_buffer('text_multiples', torch.zeros(num_classes))

    def fit(self, x: Tensor, labels: Tensor) -> None:
        """Fit to embeddings (N, D) and labels (N,) of the training images."""
        class_counts(labels, self.num_classes)
        x = F.normalize(x.double(), dim=1)
        weight, bias, alpha = fit_lp_plus_plus(x, labels, self.text_weights.to(x), self.steps)
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.text_multiples.copy_(alpha)
        low, high = alpha.min().item(), alpha.max().item()
        print_log(f'LP++: multiples of the texts between {low:.3g} and {high:.3g}', 'current')

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, N_c) of unit embeddings (B, D)."""
        weight = self.weight + self.text_multiples[:, None] * self.text_weights
        return F.linear(x, weight, self.bias)


def step_sizes(x: Tensor, texts: Tensor) -> tuple[float, float]:
    """Steps of the weights and of the multiples, from bounds of the curvature.

    4 N / (largest eigenvalue of X'X), and N / (4 * largest sum over the images of (t_c x)²), as in
    the authors' code.

    Args:
        x: (N, D), of unit length.
        texts: (N_c, D), of unit length.
    """
    largest = torch.linalg.matrix_norm(x, 2).square()
    of_texts = 4 * (x @ texts.T).square().sum(0).max()
    return (4 * len(x) / largest).item(), (len(x) / of_texts).item()


def fit_lp_plus_plus(
    x: Tensor, labels: Tensor, texts: Tensor, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise the cross entropy by gradient steps on all images.

    w starts from the sums of a class's images, alpha, the same for all, from 250 times the mean
    over the classes of the mean of t_c x over a class's images; b from 0, in the authors' code at
    random. Each step moves w and b, with momentum 0.9; each tenth alpha, too, by its gradient
    then. (The authors' code never clears that gradient, so that it moves by the sum of all so far.)
    The step of alpha is so small that alpha stays near its start.

    Args:
        x: Embeddings, (N, D), of unit length.
        labels: (N,); each class has images.
        texts: (N_c, D), of unit length.
        steps: How many.

    Returns:
        w (N_c, D), b (N_c,) and alpha (N_c,).
    """
    one_hot = F.one_hot(labels, len(texts)).to(x)
    by_text = x @ texts.T
    start = ALPHA_START * ((one_hot * by_text).sum(0) / one_hot.sum(0)).mean()
    weight, bias, alpha = one_hot.T @ x, x.new_zeros(len(texts)), start.repeat(len(texts))
    weight_step, alpha_step = step_sizes(x, texts)
    weight_velocity, bias_velocity = torch.zeros_like(weight), torch.zeros_like(bias)
    for step in range(1, steps + 1):
        error = ((F.linear(x, weight, bias) + alpha * by_text).softmax(1) - one_hot) / len(x)
        weight_velocity = MOMENTUM * weight_velocity + error.T @ x
        bias_velocity = MOMENTUM * bias_velocity + error.sum(0)
        weight, bias = weight - weight_step * weight_velocity, bias - weight_step * bias_velocity
        if step % ALPHA_EVERY == 0:
            alpha = alpha - alpha_step * (error * by_text).sum(0)
    return weight, bias, alpha
