"""The CLIP model that looks at descriptions, and the split that it classifies."""

from collections.abc import Sequence

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from ..clip.text_tower import TextTower
from ..errors import InputError
from ..text.embedding import embed


def named_model(clip: str) -> tuple[str, str | None]:
    """Name and weights of ``MODEL,WEIGHTS``; ``local-dir:FOLDER`` has its own weights."""
    name, _, weights = clip.partition(',')
    return name, weights or None


def image_model(config: Config, clip: str | None) -> tuple[str, str | None]:
    """Name and weights of the config's backbone, or of ``--clip MODEL,WEIGHTS``."""
    if clip:
        return named_model(clip)
    backbone = config.model.backbone
    return backbone.model_name, backbone.get('pretrained')


def text_tower(config: Config, clip: str | None) -> TextTower:
    """The text tower that training will use, or that of ``--clip MODEL,WEIGHTS``.

    Raises:
        InputError: The config names none; it cannot be loaded.
    """
    if clip:
        return TextTower(*named_model(clip))
    hooks, model = config.get('default_hooks') or {}, config.get('model') or {}
    for part in (hooks.get('class_means'), model.get('backbone')):
        if part and part.get('model_name'):
            return TextTower(part['model_name'], part.get('pretrained'))
    raise InputError(f'{config.filename} names no CLIP model: give one by --clip MODEL,WEIGHTS')


def embed_by_image(texts: Sequence[Sequence[str]], tower: TextTower) -> tuple[NDArray, NDArray]:
    """Mean embedding of each of I images' texts (I, D), and their numbers (I,)."""
    unique = list(dict.fromkeys(text for own in texts for text in own))
    index = {text: row for row, text in enumerate(unique)}
    rows = embed(unique, tower).double().numpy()
    means = [rows[[index[text] for text in own]].mean(0) for own in texts]
    sizes = np.array([float(len(own)) for own in texts])
    return np.array(means).reshape(len(texts), rows.shape[1]), sizes


def split_to_classify(config: Config) -> str | None:
    """``'test'``, ``'val'`` where the config has no test images, or None."""
    return next((s for s in ('test', 'val') if config.get(f'{s}_dataloader')), None)
