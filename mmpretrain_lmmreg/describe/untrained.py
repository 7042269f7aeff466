"""Accuracy without training: the nearest class text, by names, by descriptions, by both."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor

from ..clip.model import load_visual
from ..clip.text_tower import TextTower
from ..datasets.pictures import read_rgb
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..progress import track
from ..text.class_means import nearest_mean_accuracy
from ..text.prompts import TEMPLATES, class_prompts
from .images import ConfigImages
from .loading import Task
from .towers import embed_by_image, image_model, split_to_classify, text_tower
from .worth import Share

_BATCH = 16


def zero_shot(
    clip: str, config: Config, images: ConfigImages, store: DescriptionStore, prompt: str
) -> str:
    """The accuracies as ``--clip`` shows them.

    Args:
        clip: ``MODEL,WEIGHTS`` as open_clip names them; ``local-dir:FOLDER`` has its own weights.
        config: Names the split to classify.
        images: Whose descriptions make the class means, eq. 1.
        store: Their descriptions.
        prompt: What was asked for them.

    Raises:
        InputError: No class means can be made, or there is no other labelled split.
    """
    texts = {
        task: record['descriptions']
        for task in images
        if task.label is not None
        and (record := store.record(task.image, prompt))
        and record['descriptions']
    }
    if not texts:
        raise InputError(f'--clip: {store.path} has no description of these images by {prompt!r}')
    tower = text_tower(config, clip)
    means, sizes = embed_by_image(list(texts.values()), tower)
    shares, split = accuracies(config, list(texts), means, sizes, images.classes, tower, clip)
    if not shares:
        raise InputError(f'--clip: {split}')
    return lines_of(shares, split)


def lines_of(shares: Mapping[str, Share], split: str) -> str:
    """A line for each accuracy on a split, or why there is none."""
    return (
        '\n'.join(
            f'{share} of {share.total} {split} images by {name}, without training'
            for name, share in shares.items()
        )
        or f'no accuracy without training: {split}'
    )


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


@torch.inference_mode()
def embed_images(model_name: str, weights: str | None, paths: list[str]) -> torch.Tensor:
    """Image embeddings (N, D), from open_clip's own preprocessing of upright pictures."""
    visual: Any = load_visual(model_name, weights).eval()
    transform = image_transform_v2(PreprocessCfg(**visual.preprocess_cfg), is_train=False)
    parts = []
    starts = range(0, len(paths), _BATCH)
    for start in track(starts, 'batches of images', len(starts)):
        batch = [transform(read_rgb(path)) for path in paths[start : start + _BATCH]]
        parts.append(visual(torch.stack(batch)).float())
    return torch.cat(parts)
