"""Class texts as a classifier without training: by names, by descriptions, by both."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..clip.text_tower import TextTower
from ..datasets.samples import iter_infos, leaf_datasets
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..features.extract import extract_features
from ..features.trunk import trunk_features
from ..text.class_means import nearest_mean_accuracy
from ..text.embedding import embed
from ..text.prompts import TEMPLATES, class_prompts
from .tasks import ConfigImages, Task
from .text_quality import Share

_BATCH = 1024


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
        raise InputError(
            f'--clip: {store.path} has no description of these images by {prompt!r}',
            code='describe.no_descriptions',
        )
    tower = text_tower(config, clip)
    means, sizes = embed_by_image(list(texts.values()), tower)
    shares, split = accuracies(config, list(texts), means, sizes, images.classes, tower, clip)
    if not shares:
        raise InputError(f'--clip: {split}', code='describe.not_classified')
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
    tasks = [task for task in ConfigImages(config, split) if task.label is not None]
    images = image_embeddings(config, split, tasks, clip)
    centre = image_embeddings(config, 'train', described, clip).mean(0)
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


def text_tower(config: Config, clip: str | None) -> TextTower:
    """The text tower that training will use, or that of ``--clip MODEL,WEIGHTS``.

    Raises:
        InputError: The config names none; it cannot be loaded.
    """
    if clip:
        return TextTower(*_named(clip))
    hooks, model = config.get('default_hooks') or {}, config.get('model') or {}
    for part in (hooks.get('class_means'), model.get('backbone')):
        if part and part.get('model_name'):
            return TextTower(part['model_name'], part.get('pretrained'))
    raise InputError(
        f'{config.filename} names no CLIP model: give one by --clip MODEL,WEIGHTS',
        code='describe.no_clip',
    )


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


@torch.inference_mode()
def image_embeddings(
    config: Config, split: str, tasks: Sequence[Task], clip: str | None = None
) -> Tensor:
    """Embeddings (N, D) of images of a split, from the feature table that training uses.

    Args:
        config: Its backbone embeds what the split's pipeline makes of the images.
        split: ``'train'``, ``'val'`` or ``'test'``.
        tasks: N images of the split.
        clip: ``MODEL,WEIGHTS`` embeds in its place, with its own preprocessing and no table.
    """
    if clip:
        name, weights = _named(clip)
        return torch.from_numpy(extract_features(name, [task.path for task in tasks], weights))
    loader = config[f'{split}_dataloader']
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model: Any = MODELS.build(config.model)
        images = _Chosen(DATASETS.build(loader.dataset), [task.path for task in tasks])
    model.init_weights()
    model.eval()
    batches: Any = DataLoader(images, batch_size=loader.get('batch_size'))
    features, rows = trunk_features(model, batches)
    own = features[[rows[os.path.abspath(task.path)] for task in tasks]]
    return torch.cat([model.backbone.project(part.float()) for part in own.split(_BATCH)])


class _Chosen(Dataset):
    """Some images of a data set, for the feature table."""

    def __init__(self, dataset: Any, paths: Sequence[str]) -> None:
        wanted = set(map(os.path.abspath, paths))
        self.infos = [i for i in iter_infos(dataset) if os.path.abspath(i['img_path']) in wanted]
        self.pipeline, self.metainfo = leaf_datasets(dataset)[0].pipeline, dataset.metainfo

    def __len__(self) -> int:
        return len(self.infos)

    def get_data_info(self, index: int) -> dict:
        """A sample without its image."""
        return self.infos[index]


def _named(clip: str) -> tuple[str, str | None]:
    """Name and weights of ``MODEL,WEIGHTS``; ``local-dir:FOLDER`` has its own weights."""
    name, _, weights = clip.rpartition(',') if ',' in clip else (clip, '', '')
    return name, weights or None
