"""Numbers that are not finite, and what they come from."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.utils import get_ori_model
from torch import Tensor, nn

from ..errors import InputError
from ..io.table import VectorTable, not_finite
from .dataset import FeatureDataset
from .keys import feature_cache_key

FAR = 1000  # times the median length of a batch's features that no image's are


def odd_rows(features: Tensor) -> Tensor:
    """Which rows (B, D) no trunk gives, (B,) bool: not finite, or far longer than the others."""
    lengths = features.double().norm(dim=1)
    finite = lengths.isfinite()
    usual = lengths[finite].median() if finite.any() else lengths.new_tensor(torch.inf)
    return ~finite | (lengths > FAR * usual)


def damage(model: nn.Module, dataset: Any, inputs: object, names: Sequence[str]) -> str | None:
    """That the feature table is damaged which a batch is of; None where nothing is seen.

    Args:
        model: The classifier, whose trunk names the table.
        dataset: The data set of features that the batch is of, or one of images.
        inputs: The batch's features, (B, D_trunk); of images, anything.
        names: The batch's image files.
    """
    if not isinstance(inputs, Tensor) or not isinstance(dataset, FeatureDataset):
        return None
    odd = odd_rows(inputs).nonzero().flatten().tolist()
    if not odd:
        return None
    about = feature_cache_key(get_ori_model(model), dataset.source)
    return (
        f'the feature table {VectorTable("features", about).folder} is damaged: it holds '
        f'impossible values for {", ".join(names[i] for i in odd[:5])}. Delete it; it will be '
        'computed again'
    )


def require_finite(embeddings: Tensor, dataset: FeatureDataset, model: nn.Module) -> None:
    """Refuse embeddings (N, D) of a data set's images that are not finite, with the reason.

    Raises:
        InputError: a damaged feature table, or damaged weights, with the first image.
    """
    wrong = not_finite(embeddings)
    if not wrong:
        return
    names = [dataset.source.get_data_info(i)['img_path'] for i in wrong]
    raise InputError(
        damage(model, dataset, dataset.features[dataset.rows[wrong]], names)
        or f'the embeddings of {len(wrong)} images are not finite, the first is of {names[0]}: '
        'the weights that training starts from are damaged',
        code='features.not_finite',
    )
