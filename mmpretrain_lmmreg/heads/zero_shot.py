"""CLIP's zero-shot classifier: the most similar of the classes' texts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from torch import Tensor, zeros

from ..errors import InputError
from ..text.hook import collect_descriptions
from ..text.prompts import TEMPLATES, class_prompts, count_texts
from .fitting import check_checkpoint

TEXTS = ('class_names', 'descriptions')


@MODELS.register_module()
class ZeroShotHead(ClsHead):
    """Logits s * cos(x, t_c), without training on images; fitted by :class:`FitLoop`.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021,
    section 3.1. The classifier t is the buffer ``text_weights`` (num_classes, in_channels), unit
    rows, in the checkpoint: testing needs no text.

    Args:
        num_classes: N_c.
        in_channels: D, the width of the embeddings.
        texts: ``'class_names'``: the mean of the normalised embeddings of a class's prompts;
            ``'descriptions'``: the class means of eq. 1, from the descriptions of the training
            images (the train pipeline needs ``AttachDescriptions``).
        templates: Prompts of ``'class_names'``, see :func:`class_prompts`.
        logit_scale: s; CLIP's trained value is 100, and the adapters built on it assume that.

    Raises:
        InputError: unknown ``texts``; use before fitting; a checkpoint of another shape.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        texts: str = 'class_names',
        templates: Sequence[str] = TEMPLATES,
        logit_scale: float = 100.0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if texts not in TEXTS:
            raise InputError(f"texts='{texts}' is unknown; choose one of {TEXTS}")
        self.num_classes, self.in_channels = num_classes, in_channels
        self.texts, self.templates, self.logit_scale = texts, templates, logit_scale
        self.register_buffer('text_weights', zeros(num_classes, in_channels))

    @property
    def normalize_texts(self) -> bool:
        """Whether each text counts by its direction alone; eq. 1 averages embeddings as is."""
        return self.texts == 'class_names'

    def class_texts(self, dataset: Any) -> tuple[list[str], list[Counter]]:
        """Unique texts, and how often each occurs in each class."""
        if self.texts == 'descriptions':
            return collect_descriptions(dataset, self.num_classes)
        return count_texts(class_prompts(dataset.metainfo['classes'], self.templates))

    def fit(self, x: Tensor, labels: Tensor, text_means: Tensor) -> None:
        """Take over the mean embedding of each class's texts, (N_c, D); images are not used."""
        self.text_weights.copy_(F.normalize(text_means, dim=1))

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Logits (B, N_c) of embeddings (B, D)."""
        if not self.text_weights.any():
            raise InputError(
                f"{type(self).__name__} is not fitted: train with train_cfg=dict(type='FitLoop'), "
                'or test a checkpoint of such a run'
            )
        return self.logit_scale * F.normalize(self.pre_logits(feats), dim=1) @ self.text_weights.T

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        check_checkpoint(self, state_dict, prefix, 'text_weights')
        super()._load_from_state_dict(state_dict, prefix, *args)
