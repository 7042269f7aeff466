"""Classify pictures with a trained classifier."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..progress import track
from .classifier import Classifier
from .explain import Explainer
from .pictures import BATCH, read_batches

Prediction = dict[str, Any]


def predict(
    classifier: Classifier,
    paths: Sequence[str],
    broken: dict[str, str],
    topk: int = 5,
    explainer: Explainer | None = None,
    explanations: int = 0,
) -> Iterator[Prediction]:
    """Classify pictures; ``broken`` receives those that cannot be read, and why.

    A prediction has ``image`` (its path), ``predictions`` (``topk`` of ``class`` and
    ``probability``, the likeliest first), and where the checkpoint has class means ``distance``,
    the Euclidean distance of the embedding to the nearest of them, and its class
    ``nearest_mean``. With an ``explainer`` also ``descriptions``.
    """
    means = classifier.class_means
    workers = classifier.cfg.test_dataloader.get('num_workers', 0)
    batches = read_batches(paths, classifier.read, workers)
    for batch in track(batches, 'batches of images', -(-len(paths) // BATCH)):
        broken.update((path, reason) for path, reason in batch if isinstance(reason, str))
        good = [(path, picture) for path, picture in batch if not isinstance(picture, str)]
        if not good:
            continue
        embeddings, probabilities = classifier([picture for _, picture in good])
        rows = zip(good, embeddings, probabilities, strict=True)
        for (path, _), embedding, row in rows:
            result = dict(image=path, predictions=top(row, topk, classifier.classes))
            if means is not None:
                result |= _nearest(embedding, means, classifier.classes)
            if explainer is not None:
                result['descriptions'] = explainer.closest(embedding, explanations)
            yield result


def top(probabilities: Tensor, topk: int, classes: Sequence[str]) -> list[Prediction]:
    """The likeliest classes by ``class`` and ``probability``, the likeliest first."""
    best = probabilities.topk(min(topk, len(classes)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [{'class': classes[label], 'probability': value} for label, value in pairs]


def _nearest(embedding: Tensor, means: Tensor, classes: Sequence[str]) -> Prediction:
    distance, label = torch.linalg.vector_norm(means - embedding, dim=1).min(dim=0)
    return dict(distance=distance.item(), nearest_mean=classes[label])
