"""CLIP's zero-shot classifier: the most similar of the classes' texts."""

from collections import Counter
from collections.abc import Sequence

import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from torch import Tensor, zeros

from ..errors import require_one_of, require_range
from .base import SetUpHead, not_set_up
from .inputs import HeadInputs

TEXTS = ('class_names', 'descriptions')


@MODELS.register_module()
class ZeroShotHead(SetUpHead, ClsHead):
    """Logits s * cos(x, t_c), without training on images.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021,
    section 3.1. The classifier t is the buffer ``text_weights`` (num_classes, in_channels), unit
    rows, in the checkpoint: testing needs no text.

    Args:
        num_classes: N_c.
        in_channels: D, the width of the embeddings.
        texts: ``'class_names'``: the mean of the normalised embeddings of a class's prompts;
            ``'descriptions'``: the class means of eq. 1, from the descriptions of the training
            images (the train pipeline needs ``AttachDescriptions``).
        templates: Prompts of ``'class_names'``, see :func:`class_prompts`; by default the config's
            ``templates``.
        logit_scale: s; CLIP's trained value is 100, and the adapters built on it assume that.

    Raises:
        InputError: unknown ``texts``; use before fitting; a checkpoint of another shape.
    """

    unit_prompts = True  # whether each prompt of a name counts alike
    fits_images = False  # whether there is something to fit to the training images

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        texts: str = 'class_names',
        templates: Sequence[str] | None = None,
        logit_scale: float = 100.0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        require_one_of('texts', texts, TEXTS)
        require_range('logit_scale', logit_scale, 0)
        self.num_classes, self.in_channels = num_classes, in_channels
        self.texts, self.templates, self.logit_scale = texts, templates, logit_scale
        self.register_buffer('text_weights', zeros(num_classes, in_channels))

    @classmethod
    def described_splits(cls, head: dict, means: dict) -> tuple[str, ...]:
        """``train``, with ``texts='descriptions'``."""
        if head.get('texts') == 'descriptions':
            return ('train',)
        return super().described_splits(head, means)

    def set_up(self, inputs: HeadInputs) -> None:
        """Take over the mean embedding of each class's texts, and :meth:`fit` to the images."""
        if inputs.trained:
            return
        # eq. 1 averages embeddings as they are
        normalize = self.texts == 'class_names' and self.unit_prompts
        self.take_text_means(inputs.text_means(*self.texts_of(inputs), normalize))
        if self.fits_images:
            self.fit(*inputs.image_embeddings)

    def fit(self, x: Tensor, labels: Tensor) -> None:
        """Fit to embeddings (N, D) and labels (N,) of the training images, if ``fits_images``."""

    def texts_of(self, inputs: HeadInputs) -> tuple[list[str], list[Counter]]:
        """Unique texts, and how often each is one of each class."""
        if self.texts == 'class_names':
            return inputs.name_texts(self.templates)
        return inputs.descriptions

    def take_text_means(self, means: Tensor) -> None:
        """Classify by these text embeddings, (N_c, D)."""
        self.text_weights.copy_(F.normalize(means, dim=1))

    def check_fitted(self) -> None:
        """Raise InputError before the texts are there."""
        if not self.text_weights.any():
            raise not_set_up(self)

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Logits (B, N_c) of embeddings (B, D)."""
        self.check_fitted()
        return self.logits(F.normalize(self.pre_logits(feats), dim=1))

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, N_c) of unit embeddings (B, D)."""
        return self.logit_scale * x @ self.text_weights.T
