"""Accuracy without training: the nearest class text, by names, by descriptions, by both."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from numpy.typing import NDArray
from torch import Tensor

from ..clip.text_tower import TextTower
from ..text.class_means import nearest_mean_accuracy
from ..text.prompts import TEMPLATES, class_prompts
from .images import ConfigImages
from .loading import Task
from .towers import image_model, split_to_classify
from .worth import Share
from .zero_shot import embed_images


def accuracies(
    config: Config,
    described: Sequence[Task],
    means: NDArray,
    sizes: NDArray,
    classes: Sequence[str],
    tower: TextTower,
    clip: str | None,
) -> tuple[dict[str, Share], str]:
    """Accuracies on the test split, or the val split where there is none.

    Args:
        config: Names the splits, and the prompts with the class names.
        described: The described images.
        means, sizes: Mean embedding of each one's texts (I, D), and their number (I,).
        classes: Names of the classes.
        tower: Embeds the prompts.
        clip: MODEL,WEIGHTS of the image tower; the config's backbone by default.

    Returns:
        Accuracies by what the class texts are, and the name of the split; or none, and why.
    """
    split = split_to_classify(config)
    if split is None:
        return {}, 'the config has neither a test nor a val split'
    labels = np.array([task.label or 0 for task in described])
    one_hot = np.eye(len(classes))[labels]
    totals = one_hot.T @ sizes
    if not totals.all():
        empty = ', '.join(name for name, n in zip(classes, totals, strict=True) if not n)
        return {}, f'no description of {empty}'
    by_texts = torch.from_numpy(one_hot.T @ (sizes[:, None] * means) / totals[:, None]).float()
    prompts = class_prompts(classes, config.get('templates') or TEMPLATES)
    by_names = torch.stack([tower.encode(own).mean(0) for own in prompts])
    name, weights = image_model(config, clip)
    tasks = [task for task in ConfigImages(config, split) if task.label is not None]
    images = embed_images(name, weights, [task.path for task in tasks])
    centre = embed_images(name, weights, [task.path for task in described]).mean(0)
    truth = torch.tensor([task.label for task in tasks])
    candidates = {'names': by_names, 'descriptions': by_texts}
    candidates['both'] = sum(map(_directions, candidates.values()), torch.zeros(1))
    shares = {
        key: round(len(tasks) * nearest_mean_accuracy(images, truth, each, centre))
        for key, each in candidates.items()
    }
    return {key: Share(count, len(tasks)) for key, count in shares.items()}, split


def _directions(means: Tensor) -> Tensor:
    return F.normalize(means - means.mean(0), dim=1)
