"""Text towers run on the positions that count, and no others, where that is exact."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.transformer import TextTransformer
from torch import Tensor, nn

from .hf_text import PADDING, LanguageModelText


def is_causal(tower: nn.Module) -> bool:
    """Tell whether nothing behind the position that is pooled can change the embedding.

    True for open_clip's causal towers pooled at the end-of-text token; false for bidirectional
    ones (SigLIP, some MobileCLIP) and for those with a class token behind the text (CoCa).
    """
    return (
        isinstance(tower, TextTransformer)
        and tower.attn_mask is not None
        and tower.cls_emb is None
        and tower.pool_type in ('argmax', 'eos')
    )


def used_lengths(tower: Any, tokens: Tensor) -> Tensor:
    """Count the leading positions that each embedding depends on: tokens (B, L) -> (B,)."""
    if is_causal(tower):
        at_end = tokens.eq(tower.eos_id) if tower.pool_type == 'eos' else tokens
        return at_end.int().argmax(dim=1) + 1
    if isinstance(tower, HFTextEncoder | LanguageModelText):  # they mask padding themselves
        padding = PADDING if isinstance(tower, LanguageModelText) else tower.config.pad_token_id
        is_word = tokens != padding
        return (is_word * torch.arange(1, tokens.shape[1] + 1)).amax(dim=1).clamp(min=1)
    return torch.full(tokens.shape[:1], tokens.shape[1])


@dataclass
class Pack:
    """Texts as one tree of tokens: the beginnings that neighbours share are there once."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def visible(self) -> np.ndarray:
        """Return (N, N) bool: each token sees itself and what stands before it in its text."""
        mask = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                mask[node] |= mask[parent]
        return mask


def pack_texts(rows: Sequence[Sequence[int]], size: int) -> Iterator[Pack]:
    """Pack lexicographically sorted rows of tokens into trees of at most ``size`` tokens.

    A text longer than ``size`` has a pack to itself. The ends of all packs, one after the
    other, are the last tokens of ``rows`` in order.
    """
    pack = Pack()
    previous: Sequence[int] = ()
    path: list[int] = []
    for row in rows:
        shared = _shared_length(previous, row)
        if pack.ends and len(pack.tokens) + len(row) - shared > size:
            yield pack
            pack, shared = Pack(), 0
        del path[shared:]
        for position in range(shared, len(row)):
            pack.parents.append(path[-1] if path else -1)
            path.append(len(pack.tokens))
            pack.tokens.append(row[position])
            pack.positions.append(position)
        pack.ends.append(path[-1])
        previous = row
    if pack.ends:
        yield pack


def _shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = zip(first, second, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def embed_pack(tower: TextTransformer, pack: Pack) -> Tensor:
    """Embed the texts of a pack with a causal tower: -> (texts, D)."""
    device = tower.positional_embedding.device
    tokens, positions, ends = (
        torch.tensor(values, device=device) for values in (pack.tokens, pack.positions, pack.ends)
    )
    hidden = torch.from_numpy(~pack.visible()).to(device)
    mask = torch.zeros(hidden.shape, device=device).masked_fill_(hidden, float('-inf'))
    x = tower.token_embedding(tokens) + tower.positional_embedding[positions]
    x = tower.transformer(x[None], attn_mask=mask)[0]
    x = tower.ln_final(x[ends])
    projection = tower.text_projection
    if projection is None:
        return x
    return projection(x) if isinstance(projection, nn.Linear) else x @ projection
