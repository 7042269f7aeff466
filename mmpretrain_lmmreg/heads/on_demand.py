"""Arithmetic of describing on demand: the product, how sure it is, and what a share is worth.

N: images; N_c: classes; D: width of the embeddings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from .stacking import (
    Classifier,
    left_out_scores,
    logistic_regression,
    stacking_weights,
    text_classifier,
)

Embed = Callable[[Sequence[Sequence[str]]], Tensor]  # lists of texts -> unit vectors (N, D)
C, FOLDS, STEPS = 10.0, 5, 20  # of the logistic regression; of its held-out scores; of the curve


class Product(NamedTuple):
    """Logits ``exponents[0] * image + weight @ text + bias``, whose softmax is a product."""

    exponents: list[float]  # of image, class-name prompts, learned text classifier; all >= 0
    weight: Tensor  # (N_c, D), both text classifiers with their exponents
    bias: Tensor  # (N_c,)
    left_out: Tensor  # probabilities (N, N_c) of the images that it was fitted on, held out


def fit_product(
    image: Tensor, texts: Tensor, prompts: Tensor, labels: Tensor, groups: Tensor
) -> Product:
    """Exponents of image scores and two text classifiers, by cross entropy on held-out scores.

    Args:
        image: Held-out scores of the image classifier, (N, N_c).
        texts: Unit embeddings of the images' descriptions, (N, D).
        prompts: Embeddings of prompts with the class names, (N_c, D).
        labels: (N,).
        groups: Number of each image's source, (N,); a group is never divided.

    Raises:
        InputError: scikit-learn or SciPy is not installed.

    Example:
        >>> label = torch.arange(40) % 2
        >>> text = F.one_hot(label, 2).float()
        >>> found = fit_product(torch.zeros(40, 2), text, torch.eye(2), label, torch.arange(40))
        >>> found.left_out.argmax(1).equal(label)
        True
    """
    fit = partial(learned_text_classifier, classes=image.shape[1])
    named, learned = text_classifier(texts, prompts), fit(texts, labels)
    left_out = left_out_scores(fit, texts, labels, groups, FOLDS)
    parts = [image, F.linear(texts, *named), left_out]
    exponents = stacking_weights(parts, labels)
    total = sum(e * part for e, part in zip(exponents, parts, strict=True))
    weight = exponents[1] * named[0] + exponents[2] * learned[0]
    bias = exponents[1] * named[1] + exponents[2] * learned[1]
    return Product(exponents, weight, bias, torch.as_tensor(total).softmax(1))


def learned_text_classifier(texts: Tensor, labels: Tensor, classes: int) -> Classifier:
    """Logistic regression on texts; a class without any gets the lowest bias of the others.

    Args:
        texts: Unit embeddings, (N, D).
        labels: (N,).
        classes: N_c.
    """
    weight, bias = texts.new_zeros(classes, texts.shape[1]), texts.new_zeros(classes)
    there = labels.unique()
    if len(there) < 2:
        return weight, bias
    w, b = logistic_regression(texts, labels, C)
    bias[:] = b.min().to(bias)
    weight[there], bias[there] = w.to(weight), b.to(bias)
    return weight, bias


@dataclass(frozen=True)
class DescriptionReader:
    """Probabilities in proportion to ``image ** exponent * exp(weight @ text + bias)``.

    Attributes:
        exponent: Of the image classifier's probabilities.
        weight, bias: (N_c, D) and (N_c,), see :class:`Product`.
        curve: See :func:`accuracy_curve`.
        count: Descriptions of an image that are read, the first ones.
        prompts: Whose replies are read; the first one is asked.
    """

    exponent: float
    weight: Tensor
    bias: Tensor
    curve: Tensor
    count: int
    prompts: tuple[str, ...]

    def unsure(self, probabilities: Tensor, share: float) -> Tensor:
        """Rows of images that are asked about, the least sure first; none if text has no weight."""
        return least_sure(probabilities, share if self.weight.any() else 0)

    def prompts_for(self, probabilities: Tensor) -> Sequence[Sequence[str]]:
        """For each image the prompts whose replies are read; the first one is asked."""
        return [self.prompts] * len(probabilities)

    def read(self, probabilities: Tensor, replies: Sequence[Sequence[str]], embed: Embed) -> Tensor:
        """Probabilities (n, N_c) of images by theirs without replies, and their replies."""
        texts = embed([each[: self.count] for each in replies]).to(self.weight)
        logits = self.exponent * probabilities.clamp_min(1e-30).log().to(self.weight)
        return (logits + F.linear(texts, self.weight, self.bias)).softmax(1)


def margins(probabilities: Tensor) -> Tensor:
    """How sure a classifier is: the largest probability less the second, (N,) in [0, 1].

    Example:
        >>> margins(torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]))
        tensor([0.2500, 1.0000])
    """
    first, second = probabilities.topk(2, dim=1).values.T
    return first - second


def count_of(share: float, images: int) -> int:
    """Number of images that a share is, rounded down.

    Example:
        >>> count_of(0.29, 100)  # 28.999999999999996 as a product
        29
    """
    return int(share * images + 1e-9)


def least_sure(probabilities: Tensor, share: float) -> Tensor:
    """Rows of a share of the images, rounded down, the least sure first.

    Example:
        >>> least_sure(torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.2, 0.8]]), 0.5)
        tensor([2, 1])
    """
    order = margins(probabilities).argsort(stable=True)
    return order[: count_of(share, len(order))]


def accuracy_curve(image: Tensor, product: Tensor, labels: Tensor) -> Tensor:
    """What describing a share of the images brings, the least sure first.

    Args:
        image: Probabilities of the image classifier, (N, N_c).
        product: Those with descriptions, (N, N_c).
        labels: (N,).

    Returns:
        Rows of share, threshold of the margin, and accuracy, (21, 3); shares in steps of 0.05.
        Images with a margin below the threshold are described.
    """
    order = margins(image).argsort(stable=True)
    sure = margins(image)[order]
    before = (image.argmax(1) == labels)[order].double()
    after = (product.argmax(1) == labels)[order].double()
    rows = []
    for step in range(STEPS + 1):
        count = step * len(order) // STEPS
        threshold = float(sure[count]) if count < len(order) else 2.0
        right = after[:count].sum() + before[count:].sum()
        rows.append([step / STEPS, threshold, float(right / len(order))])
    return torch.tensor(rows)


def share_for(curve: Tensor, accuracy: float) -> float:
    """The smallest share of a curve that reaches an accuracy.

    Raises:
        InputError: no share does.

    Example:
        >>> share_for(torch.tensor([[0.0, 0.0, 0.7], [0.5, 0.3, 0.8], [1.0, 2.0, 0.9]]), 0.8)
        0.5
    """
    reached = curve[curve[:, 2] >= accuracy - 1e-6]
    if not len(reached):
        raise InputError(
            f'no share of described images reaches the accuracy {accuracy:.1%} on the held-out '
            f'training images; the best is {curve[:, 2].max():.1%}',
            code='heads.accuracy_not_reached',
        )
    return float(reached[0, 0])
