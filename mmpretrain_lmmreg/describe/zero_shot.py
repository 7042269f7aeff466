"""How well descriptions tell the classes apart, before anything is trained."""

from collections import Counter
from typing import Any

import torch
from mmengine.config import Config
from open_clip.transform import PreprocessCfg, image_transform_v2

from ..clip.model import load_visual
from ..clip.text_tower import TextTower
from ..datasets.pictures import read_rgb
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..progress import track
from ..text.class_means import class_means, nearest_mean_accuracy, sums_by_class
from ..text.prompts import class_prompts
from .images import ConfigImages
from .towers import named_model, split_to_classify

_BATCH = 16


def zero_shot(
    clip: str, config: Config, images: ConfigImages, store: DescriptionStore, prompt: str
) -> str:
    """Classify a labelled split by the class means of the described images; one line about it.

    Args:
        clip: ``MODEL,WEIGHTS`` as open_clip names them; ``local-dir:FOLDER`` has its own weights.
        config: Its test split is classified, or its val split where it has none.
        images: Whose descriptions make the class means, eq. 1.
        store: Their descriptions.
        prompt: What was asked for them.

    Raises:
        InputError: No class means can be made, or there is no other labelled split.
    """
    model_name, weights = named_model(clip)
    split = split_to_classify(config)
    if split is None:
        raise InputError(f'--clip: {config.filename} has neither a test nor a val split')
    tower = TextTower(model_name, weights)
    means = described_means(tower, images, store, prompt)
    described = [task.path for task in images if store.record(task.image, prompt)]
    tasks = [task for task in ConfigImages(config, split) if task.label is not None]
    embeddings = embed_images(model_name, weights, [task.path for task in tasks])
    image_mean = embed_images(model_name, weights, described).mean(0)
    labels = torch.tensor([task.label for task in tasks])
    names = [prompt for (prompt,) in class_prompts(images.classes)]
    others = [means.roll(shift, 0) for shift in range(1, len(means))]
    by_means, by_name, *by_others = (
        100 * nearest_mean_accuracy(embeddings, labels, candidate, image_mean)
        for candidate in (means, tower.encode(names), *others)
    )
    chance = sum(by_others) / len(by_others)
    return (
        f'zero-shot     {by_means:.1f} % of {len(tasks)} {split} images by class means, '
        f'{by_name:.1f} % by class names, {chance:.1f} % by the means of other classes'
    )


def described_means(
    tower: TextTower, images: ConfigImages, store: DescriptionStore, prompt: str
) -> torch.Tensor:
    """Eq. 1 over the described images, (N_c, D)."""
    texts: dict[str, int] = {}
    counts: list[Counter[int]] = [Counter() for _ in images.classes]
    for task in images:
        record = store.record(task.image, prompt)
        if record and task.label is not None:
            counts[task.label].update(
                texts.setdefault(text, len(texts)) for text in record['descriptions']
            )
    return class_means(*sums_by_class(tower.encode(list(texts)), counts), images.classes)


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
