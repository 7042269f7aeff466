"""Embeddings of any images and class means of any texts, without a config or a data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmpretrain.models import ImageClassifier
from mmpretrain.utils import get_ori_model
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from ..clip.backbone import OpenCLIPVisual
from ..clip.configs import preprocess_config, require_weights
from ..clip.hf_text import HF_DIR
from ..clip.text_tower import TextTower
from ..datasets.pictures import Images, list_images, to_rgb
from ..errors import InputError
from ..progress import Progress
from ..text.embedding import embed_class_means
from ..text.prompts import count_texts

BATCH = 64


@torch.no_grad()
def extract_features(
    model: str | ImageClassifier, images: Images, pretrained: str | None = None
) -> np.ndarray:
    """Embed images with CLIP's image tower.

    Args:
        model: A model's name, as :class:`OpenCLIPVisual` takes it, or a classifier with that
            backbone whose weights are loaded.
        images: Paths, folders (all image files below), PIL images, or uint8 arrays (H, W, 3) in
            RGB; one or a sequence of them.
        pretrained: Weights of a model that is named: an open_clip tag or a file. By default
            those of a ``local-dir:`` folder or of ``lite0-minilm``.

    Returns:
        Embeddings (N, D) in the space of images and texts, float32, not normalised, in the order
        of ``images``; those of a folder sorted by path. Images are resized and cropped as the
        CLIP model's configuration says.

    Raises:
        InputError: no image, one that cannot be read, or a model without weights.

    Example:
        >>> import numpy as np
        >>> from mmpretrain_lmmreg import extract_features
        >>> x = extract_features('lite0-minilm', ['a.jpg', np.zeros((64, 64, 3), np.uint8)])
        >>> x.shape
        (2, 384)
    """
    found = list_images(images)
    if not found:
        raise InputError(f'{images!r} holds no image', code='features.no_images')
    backbone, preprocess = _tower(model, pretrained)
    transform = image_transform_v2(PreprocessCfg(**preprocess), is_train=False)
    device, training = next(backbone.parameters()).device, backbone.training
    parts = []
    backbone.eval()
    with Progress('images', len(found)) as progress:
        for start in range(0, len(found), BATCH):
            batch = found[start : start + BATCH]
            pixels = [transform(_read(image, start + i)) for i, image in enumerate(batch)]
            parts.append(backbone(torch.stack(pixels).to(device))[0].float().cpu())
            progress.advance(len(batch))
    backbone.train(training)
    return torch.cat(parts).numpy()


def class_means(
    texts_by_class: Mapping[str, Sequence[str]],
    model: str,
    pretrained: str | None = None,
    normalize: bool = False,
) -> np.ndarray:
    """Mean text embedding of each class (eq. 1 of the paper).

    Args:
        texts_by_class: Class names and texts about their images; a text may occur several times.
        model, pretrained: A model's name and its weights, see :func:`extract_features`; or
            ``'hf-dir:FOLDER'``, which has its own.
        normalize: Scale each embedding to unit length before the mean.

    Returns:
        Means (N_c, D) in the space of images and texts, float32, in the order of the classes.

    Raises:
        InputError: a class without a text, or a model without weights.

    Example:
        >>> from mmpretrain_lmmreg import class_means
        >>> class_means({'cat': ['A cat.', 'A kitten.'], 'dog': ['A dog.']}, 'lite0-minilm').shape
        (2, 384)
    """
    if not model.startswith(HF_DIR):
        require_weights(model, pretrained)
    texts, counts = count_texts(texts_by_class.values())
    tower = TextTower(model, pretrained, get_device())
    return embed_class_means(texts, counts, tower, normalize, tuple(texts_by_class)).cpu().numpy()


def _read(image: Any, number: int) -> Image.Image:
    try:
        return to_rgb(image)
    except Exception as error:  # whatever a decoder raises
        name = image if isinstance(image, Path) else f'image {number}'
        raise InputError(f'{name} cannot be read: {error}', code='features.unreadable') from error


def _tower(model: str | ImageClassifier, pretrained: str | None) -> tuple[OpenCLIPVisual, dict]:
    """An image tower, and how its images are prepared, in open_clip's words."""
    if not isinstance(model, str):
        classifier = get_ori_model(model)
        prep, visual = classifier.data_preprocessor, classifier.backbone.visual
        own = {name: (getattr(prep, name).flatten() / 255).tolist() for name in ('mean', 'std')}
        return classifier.backbone, {**visual.preprocess_cfg, **own}
    require_weights(model, pretrained)
    backbone = OpenCLIPVisual(model, pretrained, trainable='none')
    backbone.init_weights()
    return backbone.to(get_device()), preprocess_config(model, pretrained)
