"""Learning through the frozen text tower: prompts of which some token embeddings are free."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..clip.packing import Pack, embed_pack, is_causal, pack_texts, used_lengths
from ..clip.text_tower import TextTower
from ..errors import InputError, require_one_of

# Words of context before the class name, of a context of n
POSITIONS = {'end': lambda n: n, 'middle': lambda n: n // 2, 'front': lambda n: 0}
TOKENS_AT_ONCE = 1024  # of which activations are kept; for ViT-L/14's text tower about 0.6 GB


@dataclass
class Part:
    """Prompts that run at once, and where in them the context belongs."""

    tokens: Tensor  # with any words for the context
    free: Tensor  # bool, of the tokens that are context
    which: Tensor  # number of the context's embedding, for each of these
    words: Tensor  # embeddings of the tokens
    run: Callable[[Tensor], Tensor]  # tokens -> prompts' embeddings (n, D)


class PromptTower:
    """Prompts "[context] class name." of all classes, as a function of the context's embeddings.

    The tower is frozen; gradients pass through it to the context. What prompts have in common in
    front of the class name runs once, where the tower is causal. Memory is bounded: beyond
    ``TOKENS_AT_ONCE``, activations are computed once more in the backward pass.

    Args:
        tower: An open_clip text tower with token embeddings.
        classes: N_c class names; 'CliffDiving' reads 'Cliff Diving'.
        length: M, the tokens of context.
        position: Of the class name: at the ``'end'`` of the context, in its ``'middle'``, or in
            ``'front'`` of it.
        specific: Each class has a context of its own.

    Raises:
        InputError: a Hugging Face tower; a context that does not fit the tower.
    """

    def __init__(
        self,
        tower: TextTower,
        classes: Sequence[str],
        length: int,
        position: str = 'end',
        specific: bool = False,
    ) -> None:
        self.text = tower
        self.tower: Any = tower.tower
        if not hasattr(self.tower, 'token_embedding'):
            raise InputError(
                f'prompts cannot be learned through the text tower {type(self.tower).__name__}, '
                'which hides its token embeddings, as Hugging Face models do here; choose a model '
                "with open_clip's own text transformer",
                code='text.no_token_embeddings',
            )
        self.names = list(classes)
        tokens, slots = context_slots(tower, self.names, length, position)
        # the context's embeddings are numbered below 0, where tokens have a number from 0 on
        number = torch.arange(len(slots) * length if specific else length).view(-1, length)
        numbered = tokens.scatter(1, slots, (-1 - number).expand_as(slots))
        self.filler = int(tokens[0, slots[0, 0]])
        build = self._packs if is_causal(self.tower) else self._batches
        self.parts, order = build(numbered, used_lengths(self.tower, tokens))
        self.order = torch.tensor(order).argsort()

    def _packs(self, numbered: Tensor, lengths: Tensor) -> tuple[list[Part], list[int]]:
        rows = [row[:n] for row, n in zip(numbered.tolist(), lengths.tolist(), strict=True)]
        order = sorted(range(len(rows)), key=rows.__getitem__)
        parts = []
        for pack in pack_texts([rows[i] for i in order], TOKENS_AT_ONCE):
            run = partial(self._run_pack, pack)
            parts.append(self._part(torch.tensor(pack.tokens), run))
        return parts, order

    def _run_pack(self, pack: Pack, tokens: Tensor) -> Tensor:
        return embed_pack(self.tower, replace(pack, tokens=tokens.tolist()))

    def _batches(self, numbered: Tensor, _: Tensor) -> tuple[list[Part], list[int]]:
        rows = numbered.split(max(TOKENS_AT_ONCE // numbered.shape[1], 1))
        return [self._part(part, self._run_batch) for part in rows], list(range(len(numbered)))

    def _run_batch(self, tokens: Tensor) -> Tensor:
        out = self.tower(tokens)
        return out[0] if isinstance(out, tuple) else out

    def _part(self, numbered: Tensor, run: Callable[[Tensor], Tensor]) -> Part:
        numbered = numbered.to(self.text.device)
        free = numbered < 0
        tokens = numbered.masked_fill(free, self.filler)
        with torch.no_grad():
            words = self.tower.token_embedding(tokens)
        return Part(tokens, free, -1 - numbered[free], words, run)

    @property
    def width(self) -> int:
        """Of a token embedding."""
        return self.parts[0].words.shape[-1]

    def context_of(self, words: str, length: int) -> Tensor:
        """Token embeddings of a context in words, (M, width).

        Raises:
            InputError: words that are not M tokens.
        """
        tokens = self.text.tokenizer(texts_around([words], self.names[:1], 'end'))
        free, slots = context_slots(self.text, self.names[:1], length, 'end')
        if not (tokens == free).scatter(1, slots, True).all():
            raise InputError(
                f'the context {words!r} is not {length} tokens long: set model.head.length to its '
                'tokens, or choose other words',
                code='text.context_words',
            )
        return self.tower.token_embedding(tokens[0, slots[0]].to(self.text.device)).detach()

    def embed(self, context: Tensor) -> Tensor:
        """Embed all classes' prompts: B contexts (B, M, width) -> (B, N_c, D).

        With ``specific``, contexts are (B, N_c, M, width).
        """
        run = self._embed
        if len(context) * len(self.parts) > 1:
            run = partial(checkpoint, self._embed, use_reentrant=False)
        done = [
            run(part, embeddings) for embeddings in context.flatten(1, -2) for part in self.parts
        ]
        return torch.cat(done).unflatten(0, (len(context), -1))[:, self.order]

    def _embed(self, part: Part, context: Tensor) -> Tensor:
        words = part.words.index_put((part.free,), context[part.which])
        # The tower looks its tokens up and gets these embeddings; all else is as ever
        handle = self.tower.token_embedding.register_forward_hook(lambda *_: words)
        try:
            return part.run(part.tokens)
        finally:
            handle.remove()


def texts_around(context: Sequence[str], names: Sequence[str], position: str) -> list[str]:
    """Each class's prompt, of the context's words and the class name."""
    first = POSITIONS[position](len(context))
    return [' '.join([*context[:first], name, *context[first:]]) + '.' for name in names]


def context_slots(
    tower: TextTower, names: Sequence[str], length: int, position: str
) -> tuple[Tensor, Tensor]:
    """Tokens of all prompts (N_c, L), and where the context's stand in them (N_c, M).

    Found by exchanging the context, so that nothing about the tokenizer need be known.

    Raises:
        InputError: prompts that are cut; an unknown ``position``.
    """
    require_one_of('position', position, tuple(POSITIONS))
    texts, other = (texts_around([word] * length, names, position) for word in ('X', 'Y'))
    tokens = tower.tokenizer(texts)
    if tower.count_cut(texts):
        raise InputError(
            f'a context of {length} tokens and the class names do not fit into the '
            f'{tokens.shape[1]} tokens that the text tower reads; set a smaller model.head.length',
            code='text.context_too_long',
        )
    free = tokens != tower.tokenizer(other)
    return tokens, free.nonzero()[:, 1].view(len(names), length)
