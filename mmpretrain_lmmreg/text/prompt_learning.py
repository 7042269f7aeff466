"""Learning through the frozen text tower: prompts of which some token embeddings are free."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from ..datasets.names import readable_name
from ..errors import InputError
from .tower import TextTower
from .trim import is_causal, used_lengths

POSITIONS = ('end', 'middle')
PROMPTS_AT_ONCE = 128  # of which activations are kept; for ViT-L/14's text tower about 2 GB


class PromptTower:
    """Prompts "[context] class name." of all classes, as a function of the context's embeddings.

    The tower is frozen; gradients pass through it to the context. Memory is bounded by
    ``PROMPTS_AT_ONCE`` prompts: where there are more, each part's activations are computed once
    more in the backward pass.

    Args:
        tower: An open_clip text tower with token embeddings.
        classes: N_c class names; 'CliffDiving' reads 'Cliff Diving'.
        length: M, the tokens of context.
        position: Of the class name: at the ``'end'``, or in the ``'middle'`` of the context.

    Raises:
        InputError: a Hugging Face tower; a context that does not fit the tower.
    """

    def __init__(
        self, tower: TextTower, classes: Sequence[str], length: int, position: str = 'end'
    ) -> None:
        self.tower, self.text = tower.tower, tower
        if not hasattr(self.tower, 'token_embedding'):
            raise InputError(
                f'prompts cannot be learned through the text tower {type(self.tower).__name__}, '
                'which hides its token embeddings, as Hugging Face models do here; choose a model '
                "with open_clip's own text transformer"
            )
        self.names = [readable_name(name) for name in classes]
        tokens, self.slots = context_slots(tower, self.names, length, position)
        used = int(used_lengths(self.tower, tokens).max())
        self.tokens = tokens[:, :used].to(tower.device)
        causal = is_causal(self.tower)
        self.mask = {'attn_mask': self.tower.attn_mask[:used, :used]} if causal else {}
        with torch.no_grad():
            self.words = self.tower.token_embedding(self.tokens)

    @property
    def width(self) -> int:
        """Of a token embedding."""
        return self.words.shape[2]

    def context_of(self, words: str) -> Tensor:
        """Token embeddings of a context in words, (M, width).

        Raises:
            InputError: words that are not M tokens.
        """
        length = self.slots.shape[1]
        tokens = self.text.tokenizer(texts_around([words], self.names[:1], 'end'))
        free, slots = context_slots(self.text, self.names[:1], length, 'end')
        if not (tokens == free).scatter(1, slots, True).all():
            raise InputError(f'the context {words!r} is not {length} tokens long')
        return self.tower.token_embedding(tokens[0, slots[0]].to(self.words.device)).detach()

    def embed(self, context: Tensor) -> Tensor:
        """Embed all classes' prompts: contexts (B, N_c or 1, M, width) -> (B, N_c, D)."""
        context = context.expand(-1, len(self.tokens), -1, -1)
        shape = context.shape[:2]
        parts = torch.arange(shape.numel(), device=context.device).split(PROMPTS_AT_ONCE)
        if len(parts) == 1:
            embeddings = self._embed(context, parts[0])
        else:
            done = [checkpoint(self._embed, context, p, use_reentrant=False) for p in parts]
            embeddings = torch.cat(done)
        return embeddings.unflatten(0, shape)

    def _embed(self, context: Tensor, pairs: Tensor) -> Tensor:
        """Embed some pairs of context and class, numbered context by context."""
        which, label = pairs // len(self.tokens), pairs % len(self.tokens)
        slots = self.slots.to(pairs.device)[label]
        words = self.words[label]
        words[torch.arange(len(pairs), device=pairs.device)[:, None], slots] = context[which, label]
        # The tower looks its tokens up and gets these embeddings; all else is open_clip's own
        handle = self.tower.token_embedding.register_forward_hook(lambda *_: words)
        try:
            out = functional_call(self.tower, self.mask, (self.tokens[label],))
        finally:
            handle.remove()
        return out[0] if isinstance(out, tuple) else out


def texts_around(context: Sequence[str], names: Sequence[str], position: str) -> list[str]:
    """Each class's prompt, of the context's words and the class name."""
    first = len(context) if position == 'end' else len(context) // 2
    return [' '.join([*context[:first], name, *context[first:]]) + '.' for name in names]


def context_slots(
    tower: TextTower, names: Sequence[str], length: int, position: str
) -> tuple[Tensor, Tensor]:
    """Tokens of all prompts (N_c, L), and where the context's stand in them (N_c, M).

    Found by exchanging the context, so that nothing about the tokenizer need be known.

    Raises:
        InputError: prompts that are cut; an unknown ``position``.
    """
    if position not in POSITIONS:
        raise InputError(f"position='{position}' is unknown; choose one of {POSITIONS}")
    texts, other = (texts_around([word] * length, names, position) for word in ('X', 'Y'))
    tokens = tower.tokenizer(texts)
    if tower.count_cut(texts):
        raise InputError(
            f'a context of {length} tokens and the class names do not fit into the '
            f'{tokens.shape[1]} tokens that the text tower reads; set a smaller model.head.length'
        )
    free = tokens != tower.tokenizer(other)
    return tokens, free.nonzero()[:, 1].view(len(names), length)
