"""Image and text embeddings side by side."""

import os
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from mmengine.logging import print_log
from mmpretrain.models.heads import LinearClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from ..clip.text_tower import TextTower
from ..datasets.samples import iter_infos
from ..descriptions import AttachDescriptions
from ..errors import InputError
from ..text.class_sentences import attach_of
from ..text.embedding import embed_together
from .base import SetUpHead
from .inputs import HeadInputs


@MODELS.register_module()
class ImageTextHead(SetUpHead, LinearClsHead):
    """Linear classifier on an image's embedding beside the mean embedding of its descriptions.

    Tzelepi and Mezaris, "Exploiting LMM-based knowledge for image classification tasks", EANN
    2024; with a second prompt, about emotions, their "Disturbing Image Detection Using LMM-Elicited
    Emotion Embeddings", ICIP workshops 2024. Needs the descriptions of every image that it
    classifies, also at test time, from the ``AttachDescriptions`` of each data set's pipeline;
    with its ``missing='skip'`` an image without any counts with a zero vector. So the text tower's
    weights are needed for testing, too.

    Args:
        prompts: One mean embedding for each of these prompts; by default one over the
            descriptions of all prompts.
        **kwargs: See mmpretrain's ``LinearClsHead``.

    Raises:
        InputError: an image without fetched text, as in mmpretrain's Inferencer.
    """

    inputs_at_test = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        prompts: Sequence[str] | None = None,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        if isinstance(prompts, str) or (prompts is not None and not prompts):
            raise InputError(
                f'prompts={prompts!r} must be a list of prompts, or None for all',
                code='config.unknown_value',
            )
        parts = 1 + len(prompts or [None])
        super().__init__(num_classes, parts * in_channels, init_cfg=init_cfg, **kwargs)
        self.prompts = prompts
        self.texts: dict[str, Tensor] = {}  # of each image, by absolute path

    @classmethod
    def described_splits(cls, head: dict, means: dict) -> tuple[str, ...]:
        """Every split that is classified."""
        return ('train', 'val')

    def set_up(self, inputs: HeadInputs) -> None:
        """Take over the text embeddings of the data sets' images."""
        texts: dict[str, list[list[str]]] = {}
        for dataset in inputs.datasets:
            texts |= descriptions_of(dataset, self.prompts)
        lists = [each for prompts in texts.values() for each in prompts]
        means = embed_means(lists, inputs.text_tower).reshape(len(texts), -1)
        self.texts.update(zip(texts, means, strict=True))

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
                'config has the ClassMeanHook in default_hooks',
                code='heads.image_not_described',
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
        return self.join(feats, None)  # which raises


def descriptions_of(dataset: Any, prompts: Sequence[str] | None) -> dict[str, list[list[str]]]:
    """Descriptions of each image of a data set, by absolute path and prompt.

    Raises:
        InputError: no ``AttachDescriptions``; an image without descriptions, unless its
            ``missing='skip'``; a prompt that nothing was answered to.
    """
    attach = attach_of(
        dataset, 'ImageTextHead needs the descriptions of every image, also at test time'
    )
    asked_for: Sequence[Any] = prompts or [attach.prompts]
    readers = [
        AttachDescriptions(attach.cache, attach.data_root, 'warn', attach.named, each)
        for each in asked_for
    ]
    found: dict[str, list[list[str]]] = {}
    missing: list[list[str]] = [[] for _ in readers]
    for info in iter_infos(dataset):
        lists = [reader.find(info) for reader in readers]
        for texts, images in zip(lists, missing, strict=True):
            images += [info['img_path']] * (texts is None)
        found[os.path.abspath(info['img_path'])] = [texts or [] for texts in lists]
    for prompt, images in zip(asked_for, missing, strict=True):
        if len(images) == len(found) or (images and attach.missing != 'skip'):
            asked = f' to the prompt {prompt!r}' if prompts else ''
            option = f' --prompt {prompt!r}' if prompts else ''
            raise InputError(
                f'{len(images)} of {len(found)} images have no descriptions{asked}, the first is '
                f'{images[0]}: describe them with `mmpretrain-lmmreg describe CONFIG --split '
                f'all{option}`',
                code='heads.image_not_described',
            )
    empty = sum(not all(lists) for lists in found.values())
    print_log(
        f'{empty} of {len(found)} images lack descriptions and get zeros in place of their '
        'text embeddings',
        'current',
        level=30 if empty else 10,
    )
    return found


def embed_means(lists: Sequence[Sequence[str]], tower: TextTower) -> Tensor:
    """Mean embedding of each list's texts, (N, D); zeros where there are none."""
    unique = list(dict.fromkeys(chain.from_iterable(lists)))
    embeddings, row = embed_together(unique, tower), {text: i for i, text in enumerate(unique)}
    means = torch.zeros(len(lists), embeddings.shape[1])
    for i, each in enumerate(lists):
        if each:
            means[i] = embeddings[[row[text] for text in each]].mean(0)
    return means
