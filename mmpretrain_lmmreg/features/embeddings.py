"""Embeddings of images before any training."""

import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor
from torch.utils.data import DataLoader

from ..errors import InputError
from .dataset import FeatureDataset, feature_dataloader
from .finite import require_finite

AT_A_TIME = 1024  # images; rounding may depend on it


def image_embeddings(model: ImageClassifier, images: DataLoader) -> tuple[Tensor, Tensor]:
    """Embeddings (N, D) and labels (N,) of a loader's samples in order, on the model's device.

    Raises:
        InputError: multi-label data; what :func:`embed_images` raises.
    """
    embeddings, data = embed_images(model, images)
    if data.labels is None:
        raise InputError(
            'multi-label data are not supported: each image needs one label',
            code='features.multi_label',
        )
    return embeddings, data.labels


@torch.no_grad()
def embed_images(model: ImageClassifier, images: DataLoader) -> tuple[Tensor, FeatureDataset]:
    """Embeddings (N, D) of a loader's samples in order, and the features that they are made of.

    Uses the feature table; the embeddings are unit vectors where ``model.head.normalize``.

    Raises:
        InputError: embeddings that are not finite.
    """
    data = images.dataset
    if not isinstance(data, FeatureDataset):
        data = feature_dataloader(model, images).dataset
    training, device = model.training, next(model.parameters()).device
    model.eval()  # a projection may have dropout
    embeddings = torch.empty(0, device=device)
    for number, rows in enumerate(data.rows.split(AT_A_TIME)):
        features = data.features[rows].to(device, torch.float32)
        x = model.head.pre_logits(model.extract_feat(features))
        if not number:  # room for all, since a million parts and their whole are twice as much
            embeddings = x.new_empty(len(data), x.shape[1])
        embeddings[number * AT_A_TIME :][: len(x)] = x
    model.train(training)
    require_finite(embeddings, data, model)
    return embeddings, data
