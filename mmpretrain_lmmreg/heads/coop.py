"""CoOp: prompts whose context is learned instead of written."""

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..errors import InputError, require_range
from ..text.prompt_learning import PromptTower
from .inputs import HeadInputs
from .learned_text import LearnedTextHead


@MODELS.register_module()
class CoOpHead(LearnedTextHead):
    """Logits s * cos(x, g([V]_1 ... [V]_M [CLASS])), of which the context V trains.

    Zhou, Yang, Loy and Liu, "Learning to Prompt for Vision-Language Models", IJCV 2022. Each step
    costs one pass of the text tower over the N_c prompts, whatever the batch. ``context`` is
    (M, width), or (N_c, M, width).

    Args:
        length: M, the tokens of context.
        class_specific: A context for each class; one for all by default.
        position: Of the class name: at the ``'end'`` of the context, in its ``'middle'``, or in
            ``'front'`` of it.
        words: The context starts from these M tokens; from noise by default.
        width: Of the text tower's token embeddings; D by default, as in OpenAI's ViTs.
        **kwargs: See :class:`LearnedTextHead`.

    Raises:
        InputError: no context; a text tower of another width, or without token embeddings.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        length: int = 16,
        class_specific: bool = False,
        position: str = 'end',
        words: str | None = None,
        width: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        require_range('length', length, 1)
        if width is not None:
            require_range('width', width, 1)
        self.length, self.position, self.words = length, position, words
        shape = (length, width or in_channels)
        self.context = nn.Parameter(
            torch.empty(num_classes, *shape) if class_specific else torch.empty(shape)
        )
        nn.init.normal_(self.context, std=0.02)

    def take_texts(self, inputs: HeadInputs) -> None:
        """Get the text tower ready for the data's classes."""
        tower, specific = inputs.text_tower, self.context.ndim == 3
        self.prompts = PromptTower(tower, inputs.classes, self.length, self.position, specific)
        if self.prompts.width != self.context.shape[-1]:
            raise InputError(
                f'the text tower has token embeddings of width {self.prompts.width}, the head '
                f'{self.context.shape[-1]}; set model.head.width={self.prompts.width}',
                code='heads.other_width',
            )
        if self.words and not inputs.trained:
            self.context.data.copy_(self.prompts.context_of(self.words, self.length))

    def class_weights(self) -> Tensor:
        """Embeddings of the prompts, (N_c, D)."""
        return self.prompts.embed(self.context[None])[0]
