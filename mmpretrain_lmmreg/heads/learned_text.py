"""What methods have in common that learn class embeddings from texts."""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from torch import Tensor, nn

from ..errors import InputError, require_range
from ..text.class_sentences import read_sentences, require_each
from .base import SetUpHead, not_set_up
from .inputs import HeadInputs


class LearnedTextHead(SetUpHead, ClsHead):
    """Logits s * cos(x, t_c), where the class embeddings t are a function of what trains.

    In training t is computed at each step; :class:`ClassMeanHook` has the result of each epoch
    kept in ``text_weights`` (num_classes, in_channels), so that a checkpoint is tested without any
    text. It is a parameter without a gradient, since EMAHook exchanges parameters only. A subclass
    has :meth:`take_texts` and :meth:`class_weights`.

    Args:
        num_classes: N_c.
        in_channels: D, the width of the embeddings.
        logit_scale: s; CLIP's trained value is 100.

    Raises:
        InputError: use before training; training without the hook; a checkpoint of another shape.
    """

    ready = False  # whether the texts are there, which are not in the checkpoint

    def __init__(
        self, num_classes: int, in_channels: int, logit_scale: float = 100.0, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        require_range('logit_scale', logit_scale, 0)
        self.num_classes, self.in_channels = num_classes, in_channels
        self.logit_scale = logit_scale
        self.text_weights = nn.Parameter(torch.zeros(num_classes, in_channels), requires_grad=False)

    def set_up(self, inputs: HeadInputs) -> None:
        """Take over the texts, once."""
        if not self.ready:
            self.take_texts(inputs)
            self.ready = True
            if not inputs.trained:
                self.keep_class_weights()

    def take_texts(self, inputs: HeadInputs) -> None:
        """Take over texts, and training images if need be."""
        raise NotImplementedError

    def class_weights(self) -> Tensor:
        """t, (N_c, D), with gradients."""
        raise NotImplementedError

    def after_epoch(self, averaged: Sequence['LearnedTextHead']) -> None:
        """Keep class embeddings, also those of averaged parameters."""
        self.keep_class_weights()
        own = copy.deepcopy(self.state_dict())
        for head in averaged:  # which lack the texts
            self.load_state_dict(head.state_dict())
            self.keep_class_weights()
            head.load_state_dict(self.state_dict())
        self.load_state_dict(own)

    @torch.no_grad()
    def keep_class_weights(self) -> None:
        """Put t as it is in eval mode into ``text_weights``."""
        training = self.training
        self.text_weights.copy_(self.eval().class_weights())
        self.train(training)

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Logits (B, N_c) of embeddings (B, D)."""
        self.check_ready()
        weights = self.class_weights() if self.training else self.text_weights
        return self.logits(self.pre_logits(feats), weights)

    def logits(self, x: Tensor, weights: Tensor) -> Tensor:
        """Logits (B, N_c) of embeddings (B, D) and class embeddings (N_c, D)."""
        return self.logit_scale * F.normalize(x, dim=1) @ F.normalize(weights, dim=1).T

    def check_ready(self) -> None:
        """Raise InputError where the texts are missing, or nothing was trained."""
        if not self.ready and (self.training or self.inputs_at_test):
            raise InputError(
                f'{type(self).__name__} has no texts: keep the ClassMeanHook in default_hooks, '
                'and use tools/train.py and tools/test.py',
                code='heads.not_set_up',
            )
        if not self.text_weights.any():
            raise not_set_up(self)


def sentences_of(inputs: HeadInputs, file: str | None) -> list[list[str]]:
    """Sentences of each class, as often as they occur: from a file, else the descriptions.

    Raises:
        MissingInputError, InputError: what :func:`read_sentences` raises; a class without any.
    """
    if file:
        return inputs.shifted(read_sentences(file, inputs.classes))
    texts, counts = inputs.descriptions
    sentences = [[texts[i] for i in counter.elements()] for counter in counts]
    names = inputs.shifted(inputs.classes)
    return require_each(sentences, names, 'the descriptions of the training images')
