"""Class texts as a classifier without training: by names, by descriptions, by both."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from ..clip.text_tower import TextTower
from ..datasets.samples import leaf_datasets
from ..errors import InputError
from ..features.extract import extract_features
from ..features.trunk import trunk_features
from ..text.class_means import nearest_mean_accuracy
from ..text.embedding import embed_lists
from ..text.prompts import TEMPLATES, class_prompts
from .tasks import ConfigImages, Task

_BATCH = 1024


def accuracies(
    config: Config,
    described: Sequence[Task],
    means: NDArray,
    sizes: NDArray,
    classes: Sequence[str],
    tower: TextTower,
    clip: str | None,
) -> tuple[list[dict[str, Any]], str]:
    """Accuracies on the test split, or the val split where there is none.

    Args:
        config: Names the splits, and the prompts with the class names.
        described: The described images; those that are tested are left out.
        means, sizes: Mean embedding of each one's texts (I, D), and their number (I,).
        classes: Names of the classes.
        tower: Embeds the prompts.
        clip: MODEL,WEIGHTS of the image tower; the config's backbone by default.

    Returns:
        For each kind of class ``texts`` the number of ``images``, the accuracy (``value``) and its
        95 % interval (``low``, ``high``), and the name of the split; or none, and why.
    """
    split = next((s for s in ('test', 'val') if config.get(f'{s}_dataloader')), None)
    if split is None:
        return [], 'the config has neither a test nor a val split'
    tasks = [task for task in ConfigImages(config, split) if task.label is not None]
    tested = {os.path.abspath(task.path) for task in tasks}
    kept = [i for i, task in enumerate(described) if os.path.abspath(task.path) not in tested]
    described, means, sizes = [described[i] for i in kept], means[kept], sizes[kept]
    one_hot = np.eye(len(classes))[[task.label or 0 for task in described]]
    totals = one_hot.T @ sizes
    if not totals.all():
        empty = ', '.join(name for name, n in zip(classes, totals, strict=True) if not n)
        return [], f'no description of {empty} outside the {split} split'
    prompts = class_prompts(classes, config.get('templates') or TEMPLATES)
    candidates = {
        'names': torch.stack([tower.encode(own).mean(0) for own in prompts]),
        'descriptions': torch.from_numpy(one_hot.T @ (sizes[:, None] * means) / totals[:, None]),
    }
    directions = [F.normalize((m - m.mean(0)).float(), dim=1) for m in candidates.values()]
    candidates['both'] = directions[0] + directions[1]
    images = image_embeddings(config, split, tasks, clip)
    centre = image_embeddings(config, split, described, clip).mean(0)
    truth = torch.tensor([task.label for task in tasks])
    found = [
        _with_interval(name, nearest_mean_accuracy(images, truth, each.float(), centre), len(tasks))
        for name, each in candidates.items()
    ]
    return found, split


def _with_interval(texts: str, accuracy: float, images: int) -> dict[str, Any]:
    """An accuracy with Wilson's interval."""
    from scipy.stats import binomtest  # of the extra 'evidence'

    test = binomtest(round(images * accuracy), images)
    low, high = map(float, test.proportion_ci(method='wilson'))
    return dict(low=low, high=high, texts=texts, images=images, value=test.statistic)


def text_tower(config: Config, clip: str | None) -> TextTower:
    """The text tower that training will use, or that of ``--clip MODEL,WEIGHTS``.

    Raises:
        InputError: The config names none; it cannot be loaded.
    """
    if clip:
        return TextTower(*_named(clip))
    hook = (config.get('default_hooks') or {}).get('class_means') or {}
    for part in (hook, (config.get('model') or {}).get('backbone')):
        if part and part.get('model_name'):
            context = hook.get('text_context')
            return TextTower(part['model_name'], part.get('pretrained'), text_context=context)
    raise InputError(
        f'{config.filename} names no CLIP model: give one by --clip MODEL,WEIGHTS',
        code='describe.no_clip',
    )


def embed_by_image(texts: Sequence[Sequence[str]], tower: TextTower) -> tuple[NDArray, NDArray]:
    """Mean embedding of each of I images' texts (I, D), and their numbers (I,)."""
    means = [rows.double().mean(0) for rows in embed_lists(texts, tower)]
    return torch.stack(means).numpy(), np.array([float(len(own)) for own in texts])


@torch.no_grad()
def image_embeddings(
    config: Config, split: str, tasks: Sequence[Task], clip: str | None = None
) -> Tensor:
    """Embeddings (N, D) of images, from the feature table that training uses.

    Args:
        config: Its backbone embeds what the pipeline of a split makes of the images.
        split: ``'test'`` or ``'val'``, whose pipelines draw nothing at random.
        tasks: N images of any split.
        clip: ``MODEL,WEIGHTS`` embeds in its place, with its own preprocessing and no table.
    """
    if clip:
        name, weights = _named(clip)
        return torch.from_numpy(extract_features(name, [task.path for task in tasks], weights))
    loader = config[f'{split}_dataloader']
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model: Any = MODELS.build(config.model)
        pipeline = leaf_datasets(DATASETS.build(loader.dataset))[0].pipeline
    model.backbone.init_weights()
    model.eval()
    samples: Any = _Images(tasks, pipeline)
    images: Any = DataLoader(samples, batch_size=loader.get('batch_size'))
    features, rows = trunk_features(model, images)
    own = features[[rows[os.path.abspath(task.path)] for task in tasks]]
    return torch.cat([model.backbone.project(part.float()) for part in own.split(_BATCH)])


class _Images(list):
    """Tasks as the feature table takes a data set's samples."""

    def __init__(self, tasks: Sequence[Task], pipeline: Any) -> None:
        super().__init__(tasks)
        self.pipeline = pipeline

    def get_data_info(self, index: int) -> dict:
        """A sample without its pixels."""
        return dict(img_path=self[index].path)


def _named(clip: str) -> tuple[str, str | None]:
    """Name and weights of ``MODEL,WEIGHTS``; ``local-dir:FOLDER`` has its own weights."""
    name, _, weights = clip.rpartition(',') if ',' in clip else (clip, '', '')
    return name, weights or None
