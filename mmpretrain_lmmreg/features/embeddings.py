"""Embeddings of the training images before any training."""

import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor
from torch.utils.data import DataLoader

from .samples import iter_infos
from .trunk import trunk_features


@torch.no_grad()
def image_embeddings(model: ImageClassifier, images: DataLoader) -> tuple[Tensor, Tensor]:
    """Embed each image of a loader's data set once: (N, D) and labels (N,), on the CPU.

    Uses the feature table; the embeddings are unit vectors where ``model.head.normalize``.
    """
    features, _ = trunk_features(model, images)
    device = next(model.parameters()).device
    x = torch.cat(
        [
            model.head.pre_logits(model.backbone(chunk.to(device))).cpu()
            for chunk in features.split(1024)
        ]
    )
    return x, torch.tensor([info['gt_label'] for info in iter_infos(images.dataset)])
