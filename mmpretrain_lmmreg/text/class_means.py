"""Eq. 1: the mean text embedding of each class, and what it is worth by itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..io.table import StoredRows

ROWS = 4096  # embeddings that are in float64 at a time


def sums_by_class(
    embeddings: Tensor | StoredRows, counts: Sequence[Counter], normalize: bool = False
) -> tuple[Tensor, Tensor]:
    """Numerators and denominators of eq. 1, to be added up over processes.

    Args:
        embeddings: One row for each unique text, (U, D), in memory or on disk.
        counts: For each class, how often each of the U texts describes one of its images.
        normalize: Scale embeddings to unit length before.

    Returns:
        Sums (N_c, D) and numbers of texts (N_c,), both float64.
    """
    dim = embeddings.dim if isinstance(embeddings, StoredRows) else embeddings.shape[1]
    sums = torch.zeros(len(counts), dim, dtype=torch.float64)
    totals = torch.zeros(len(counts), dtype=torch.float64)
    for label, counter in enumerate(counts):
        if counter:
            weights = torch.tensor(list(counter.values()), dtype=torch.float64)
            rows = embeddings[list(counter)]
            rows = F.normalize(rows, dim=1) if normalize else rows
            sums[label] = weights @ rows.double()
            totals[label] = weights.sum()
    return sums, totals


def class_means(sums: Tensor, totals: Tensor, classes: Sequence[str] | None = None) -> Tensor:
    """Eq. 1, C_l = mean of the text embeddings in K_l, (N_c, D) float32.

    Raises:
        InputError: a class without any description, by name.
    """
    if not totals.all():
        raise InputError(
            f'no training image of class {named_empty(totals, classes)} has a description, so it '
            'has no class mean: describe its images (mmpretrain-lmmreg describe CONFIG)',
            code='text.class_not_described',
        )
    return (sums / totals[:, None]).float()


def class_counts(labels: Tensor, num_classes: int, classes: Sequence[str] | None = None) -> Tensor:
    """Images of each class, (N_c,), of the training images' labels (N,).

    Raises:
        InputError: a class without images, by name if ``classes`` are given.

    Example:
        >>> class_counts(torch.tensor([0, 1, 1]), 2)
        tensor([1, 2])
    """
    counts = torch.bincount(labels, minlength=num_classes)
    if not counts.all():
        raise InputError(
            f'class {named_empty(counts, classes)} has no training image: add images of it, or '
            'take the class out',
            code='heads.class_without_images',
        )
    return counts


def named_empty(counts: Tensor | Sequence[int], classes: Sequence[str] | None) -> str:
    """The classes that count nothing."""
    empty = [i for i, count in enumerate(counts) if not count]
    return ', '.join(f"'{classes[i]}'" if classes else str(i) for i in empty)


def means_by_label(
    embeddings: Tensor, labels: Tensor, num_classes: int, classes: Sequence[str] | None = None
) -> Tensor:
    """Mean of the embeddings (N, D) of each label (N,), as (N_c, D) float32.

    Raises:
        InputError: a class without any, by name if ``classes`` are given.
    """
    counts = class_counts(labels, num_classes, classes)
    sums = embeddings.new_zeros(num_classes, embeddings.shape[1], dtype=torch.float64)
    for rows, own in zip(embeddings.split(ROWS), labels.split(ROWS), strict=True):
        sums.index_add_(0, own, rows.double())
    return class_means(sums, counts)


def nearest_mean_accuracy(
    images: Tensor, labels: Tensor, means: Tensor, image_mean: Tensor
) -> float:
    """Accuracy of classifying by the most similar class mean, without training, in [0, 1].

    Both sides are centred first, images (N, D) by the mean embedding (D,) of training images and
    class means (N_c, D) by theirs: image and text embeddings lie in two cones apart, and only
    what differs between the classes is compared. Cosine similarity; labels (N,).
    """
    images = F.normalize(images - image_mean, dim=1)
    means = F.normalize(means - means.mean(0), dim=1)
    return ((images @ means.T).argmax(1) == labels).double().mean().item()


def alignment(text_means: Tensor, image_means: Tensor) -> float:
    """Cosine of the centred class means of texts and images, (N_c, D) each; 0 is by chance."""
    texts, images = (means - means.mean(0) for means in (text_means, image_means))
    return F.cosine_similarity(texts.flatten(), images.flatten(), dim=0).item()


@dataclass(frozen=True)
class TargetScale:
    """How class means lie to the embeddings that are drawn to them, before training."""

    image_norm: float  # mean length of the embeddings
    mean_norm: float  # mean length of the class means
    distance: float  # mean squared distance of an embedding to its class's mean
    offset: float  # share of it that is one offset, the same for all classes, in [0, 1]
    alignment: float


def target_scale(x: Tensor, labels: Tensor, means: Tensor) -> TargetScale:
    """Figures of embeddings (N, D) with labels (N,) and class means (N_c, D)."""
    means = means.to(x).double()
    # made before the loop: small tensors that stay between large ones would keep all of these
    total, norms, distances = (means.new_zeros(size) for size in (x.shape[1], len(x), len(x)))
    for start in range(0, len(x), ROWS):
        part = slice(start, start + ROWS)
        rows = x[part].double()
        norms[part] = rows.norm(dim=1)
        rows -= means[labels[part]]
        total += rows.sum(0)
        distances[part] = rows.square_().sum(1)
    distance = distances.mean()
    offset = (total / len(x)).square().sum() / distance.clamp_min(1e-30)
    there, numbers = labels.cpu().unique(return_inverse=True)  # a class may have no image
    images = means_by_label(x.cpu(), numbers, len(there))
    return TargetScale(
        norms.mean().item(),
        means.norm(dim=1).mean().item(),
        distance.item(),
        offset.item(),
        alignment(means.cpu()[there], images.double()),
    )
