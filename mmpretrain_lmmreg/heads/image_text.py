"""Image and text embeddings side by side, and the hook that fetches the text."""

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.models.heads import LinearClsHead
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample
from mmpretrain.utils import get_ori_model
from torch import Tensor

from ..descriptions import AttachDescriptions
from ..descriptions.samples import rel_path_of
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..features.samples import iter_infos, transforms_of
from ..text.hook import embed_together
from ..text.tower import TextTower


@MODELS.register_module()
class ImageTextHead(LinearClsHead):
    """Linear classifier on an image's embedding beside the mean embedding of its descriptions.

    Tzelepi and Mezaris, "Exploiting LMM-based knowledge for image classification tasks", EANN
    2024; with a second prompt, about emotions, their "Disturbing Image Detection Using LMM-Elicited
    Emotion Embeddings", ICIP workshops 2024. Needs the descriptions of every image that it
    classifies, also at test time: :class:`ImageTextHook` fetches them, from the
    ``AttachDescriptions`` of each data set's pipeline.

    Args:
        num_classes: N_c.
        in_channels: D, the width of the image embeddings.
        prompts: One mean embedding for each of these prompts; by default one over the
            descriptions of all prompts.
        **kwargs: See mmpretrain's ``LinearClsHead``.

    Raises:
        InputError: an image without fetched text, as in mmpretrain's Inferencer.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        prompts: Sequence[str] | None = None,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        if isinstance(prompts, str) or (prompts is not None and not prompts):
            raise InputError(f'prompts={prompts!r} must be a list of prompts, or None for all')
        parts = 1 + len(prompts or [None])
        super().__init__(num_classes, parts * in_channels, init_cfg=init_cfg, **kwargs)
        self.prompts = prompts
        self.texts: dict[str, Tensor] = {}  # of each image, by absolute path

    def join(self, feats: tuple[Tensor], data_samples: list[DataSample] | None) -> Tensor:
        """Image and text embeddings, (B, D + P * D)."""
        x = self.pre_logits(feats)
        paths = [sample.get('img_path') for sample in data_samples or [DataSample()]]
        unknown = [path for path in paths if not path or os.path.abspath(path) not in self.texts]
        if unknown:
            raise InputError(
                'ImageTextHead classifies with the descriptions of each image, and has none of '
                f"{unknown[0] or 'an image handed over in memory'}: mmpretrain's "
                'ImageClassificationInferencer cannot be used; test with tools/test.py, whose '
                'config has ImageTextHook in default_hooks'
            )
        texts = torch.stack([self.texts[os.path.abspath(path)] for path in paths])
        return torch.cat([x, texts.to(x)], dim=1)

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample], **kwargs) -> dict:
        """Cross-entropy; see mmpretrain's ``ClsHead.loss``."""
        return self._get_loss(self.fc(self.join(feats, data_samples)), data_samples, **kwargs)

    def predict(
        self, feats: tuple[Tensor], data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predictions; see mmpretrain's ``ClsHead.predict``."""
        return self._get_predictions(self.fc(self.join(feats, data_samples)), data_samples)

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Refused: embeddings alone do not say which image they are of."""
        self.join(feats, None)


@HOOKS.register_module()
class ImageTextHook(Hook):
    """Before training, validation and test: mean text embeddings of the images -> the head.

    Descriptions are read from the store of each data set's ``AttachDescriptions``, whose
    ``missing='skip'`` lets an image without any count with a zero vector. The text tower is the
    backbone's, with its weights, so these are needed for testing, too, unless all texts are on
    disk already.
    """

    def __init__(self) -> None:
        self.done: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        loops = [runner.train_loop, runner.val_loop]
        self.fetch(runner, [loop.dataloader.dataset for loop in loops if loop is not None])

    def before_val(self, runner: Runner) -> None:
        self.fetch(runner, [runner.val_loop.dataloader.dataset])

    def before_test(self, runner: Runner) -> None:
        self.fetch(runner, [runner.test_loop.dataloader.dataset])

    def fetch(self, runner: Runner, datasets: list[Any]) -> None:
        """Give the head the text embeddings of the images of data sets, once."""
        datasets = [getattr(dataset, 'source', dataset) for dataset in datasets]
        if all(any(dataset is done for done in self.done) for dataset in datasets):
            return
        self.done += datasets
        model = get_ori_model(runner.model)
        if not isinstance(getattr(model, 'head', None), ImageTextHead):
            raise InputError('ImageTextHook needs an ImageTextHead (and no test-time augmentation)')
        texts: dict[str, list[list[str]]] = {}
        for dataset in datasets:
            texts |= descriptions_of(dataset, model.head.prompts)
        means = embed_means(list(texts.values()), model)
        model.head.texts.update(zip(texts, means, strict=True))


def descriptions_of(dataset: Any, prompts: Sequence[str] | None) -> dict[str, list[list[str]]]:
    """Descriptions of each image of a data set, by absolute path and prompt.

    Raises:
        InputError: no ``AttachDescriptions``; an image without descriptions, unless its
            ``missing='skip'``; a prompt that nothing was answered to.
    """
    attach = next((t for t in transforms_of(dataset) if isinstance(t, AttachDescriptions)), None)
    if attach is None:
        raise InputError(
            'ImageTextHead needs the descriptions of every image, also at test time: '
            "put dict(type='AttachDescriptions') into all pipelines"
        )
    stores: dict[Path, DescriptionStore] = {}
    found: dict[str, list[list[str]]] = {}
    missing: dict[str | None, list[str]] = {prompt: [] for prompt in prompts or [None]}
    for info in iter_infos(dataset):
        path, image = attach.path_for(info), rel_path_of(info, attach.data_root)
        if path not in stores:
            stores[path] = DescriptionStore(path)
        own = found[os.path.abspath(info['img_path'])] = []
        for prompt in missing:
            texts = stores[path].get(image, prompt)
            own.append(texts or [])
            if texts is None:
                missing[prompt].append(f'{image} in {path}')
    for prompt, images in missing.items():
        if len(images) == len(found) or (images and attach.missing == 'error'):
            asked = f' to the prompt {prompt!r}' if prompt else ''
            option = f' --prompt {prompt!r}' if prompt else ''
            raise InputError(
                f'{len(images)} of {len(found)} images have no descriptions{asked}, '
                f'the first is {images[0]}: describe them with `python '
                f'tools/describe.py CONFIG --split all{option}`'
            )
    empty = sum(not all(lists) for lists in found.values())
    print_log(
        f'{empty} of {len(found)} images lack descriptions and get zeros in place of their '
        'text embeddings',
        'current',
        level=30 if empty else 10,
    )
    return found


def embed_means(texts: list[list[list[str]]], model: torch.nn.Module) -> Tensor:
    """Mean embeddings of the texts of N images and P prompts, (N, P * D); zeros where none."""
    unique = list(dict.fromkeys(chain.from_iterable(chain.from_iterable(texts))))
    device = next(model.parameters()).device
    tower = TextTower(model.backbone.model_name, model.backbone.pretrained, device)
    embeddings, row = embed_together(unique, tower), {text: i for i, text in enumerate(unique)}
    means = torch.zeros(len(texts), len(texts[0]), embeddings.shape[1])
    for i, lists in enumerate(texts):
        for j, own in enumerate(lists):
            if own:
                means[i, j] = embeddings[[row[text] for text in own]].mean(0)
    return means.flatten(1)
