"""Classify images that the command line names with a trained classifier."""

from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..datasets.pictures import IMAGE_SUFFIXES, is_image, list_images, natural_key
from ..errors import InputError, MissingInputError
from ..progress import track
from .classifier import Classifier
from .explain import Explainer
from .standalone import BATCH, read_images

Prediction = dict[str, Any]


def find_pictures(arguments: Sequence[str]) -> list[str]:
    """Paths of the pictures that files, folders (with theirs) and patterns name, each once.

    Raises:
        MissingInputError: there is nothing by that name.
        InputError: a folder without a picture.
    """
    paths: dict[str, None] = {}
    for argument in arguments:
        path = Path(argument).expanduser()
        if path.is_file():
            found = [str(path)]
        elif path.is_dir():
            found = list(map(str, list_images(path)))
            if not found:
                raise InputError(
                    f'no image ({", ".join(IMAGE_SUFFIXES)}) is in the folder {argument}',
                    code='deploy.no_images',
                )
        else:
            found = [p for p in glob(str(path), recursive=True) if is_image(Path(p).name)]
            if not found:
                raise MissingInputError(
                    f'{argument}: no image, folder or pattern of that name',
                    code='deploy.no_images',
                )
        paths.update(dict.fromkeys(sorted(found, key=natural_key)))
    return list(paths)


def predict(
    classifier: Classifier,
    paths: Sequence[str],
    broken: dict[str, str],
    topk: int = 5,
    explainer: Explainer | None = None,
    explanations: int = 0,
) -> list[Prediction]:
    """Classify images; ``broken`` receives those that cannot be read, and why.

    A prediction has ``image`` (its path), ``predictions`` (``topk`` of ``class`` and
    ``probability``, the likeliest first), and where the checkpoint has class means ``distance``,
    the Euclidean distance of the embedding to the nearest of them, and its class
    ``nearest_mean``. With an ``explainer`` also ``descriptions``.
    """
    means, results = classifier.class_means, list[Prediction]()
    starts = range(0, len(paths), BATCH)
    for start in track(starts, 'batches of images', len(starts)):
        good = read_images(paths[start : start + BATCH], classifier.read, broken)
        if not good:
            continue
        embeddings, probabilities = classifier([pixels for _, _, pixels in good])
        for (path, _, _), embedding, row in zip(good, embeddings, probabilities, strict=True):
            result = dict(image=path, predictions=top(row, topk, classifier.classes))
            if means is not None:
                result |= _nearest(embedding, means, classifier.classes)
            if explainer is not None:
                result['descriptions'] = explainer.closest(embedding, explanations)
            results.append(result)
    return results


def top(probabilities: Tensor, topk: int, classes: Sequence[str]) -> list[Prediction]:
    """The likeliest classes by ``class`` and ``probability``, the likeliest first."""
    best = probabilities.topk(min(topk, len(classes)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [{'class': classes[label], 'probability': value} for label, value in pairs]


def _nearest(embedding: Tensor, means: Tensor, classes: Sequence[str]) -> Prediction:
    distance, label = torch.linalg.vector_norm(means - embedding, dim=1).min(dim=0)
    return dict(distance=distance.item(), nearest_mean=classes[label])
