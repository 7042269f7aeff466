"""A frozen text tower: texts to embeddings in the space of the image tower."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ..errors import InputError
from ..io.files import digest, digest_tensors
from ..progress import Progress
from .configs import has_weights
from .hf_text import HF_DIR, InstructedTokenizer, load_hf_text
from .model import build_text, load_text, tokenizer_for
from .packing import embed_pack, is_causal, pack_texts, used_lengths

BATCH = 64  # texts of full length that run at once, and more shorter ones
PACK_TOKENS = 512  # beyond, attention between a pack's unrelated texts costs more than it saves
_PROBES = ("A man, 2 dogs & Zoë's kite; it's a WINDY day!", 'anthropomorphic Handstand-Pushups')


class TextTower:
    """open_clip's text tower, g(s): frozen, in float32 and eval mode.

    Args:
        model_name: open_clip's name of the model, or ``'local-dir:FOLDER'``; or
            ``'hf-dir:FOLDER'``, a language model with an adapter, see :func:`load_hf_text`.
        pretrained: open_clip tag or checkpoint file. None: the weights in the folder of a
            ``local-dir:`` or ``hf-dir:`` model, else random ones, with a warning.
        device: Where the tower runs.
        text_context: Positions to stretch the tower to, so that longer texts are not cut; see
            :mod:`mmpretrain_lmmreg.clip.long_text`. By default those that the weights have. Of an
            ``hf-dir:`` model, the tokens that are read.

    Raises:
        InputError: what :func:`mmpretrain_lmmreg.clip.model.load_open_clip` raises.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: str | Path | None = None,
        device: str | torch.device = 'cpu',
        text_context: int | None = None,
    ) -> None:
        if model_name.startswith(HF_DIR):
            if pretrained is not None:
                raise InputError(
                    f'{model_name!r} has its weights in its folder: leave out {pretrained!r}',
                    code='clip.other_model',
                )
            self._set_up(*load_hf_text(model_name, text_context), device)
            return
        if pretrained is None and not has_weights(model_name):
            print_log(
                f'the text tower of {model_name!r} has random weights: none are named',
                logger='current',
                level=logging.WARNING,
            )
            tower: Any = build_text(model_name, text_context)
        else:
            tower = load_text(model_name, pretrained, text_context)
        # a Hugging Face tower's is the most that it could read, not what its tokenizer is set to
        context = tower.context_length if hasattr(tower, 'positional_embedding') else None
        self._set_up(tower, tokenizer_for(model_name, context), device)

    @classmethod
    def from_module(
        cls, tower: nn.Module, tokenizer: Callable, device: str | torch.device = 'cpu'
    ) -> 'TextTower':
        """Wrap a module from tokens (B, L) to embeddings (B, D), which is frozen by that.

        ``tokenizer`` maps a list of B texts to tokens (B, context length), as open_clip's do.
        """
        self = cls.__new__(cls)
        self._set_up(tower, tokenizer, device)
        return self

    def _set_up(self, tower: nn.Module, tokenizer: Callable, device: str | torch.device) -> None:
        self.tokenizer = tokenizer
        self.device = torch.device(device)
        self.tower = tower.to(self.device).float().eval().requires_grad_(False)

    @cached_property
    def dim(self) -> int:
        """D, the dimension of an embedding."""
        return self.encode(['']).shape[1]

    @cached_property
    def fingerprint(self) -> str:
        """Name of what the embeddings depend on: the tower's weights and form, the tokenizer."""
        attributes = ('pool_type', 'eos_id', 'heads')
        form = [is_causal(self.tower), *(getattr(self.tower, n, None) for n in attributes)]
        tokens = self.tokenizer(list(_PROBES)).tolist()
        return digest([digest_tensors(self.tower.state_dict()), repr(self.tower), form, tokens])

    def count_cut(self, texts: Sequence[str]) -> int:
        """Count the texts that are longer than the tower's context, and so lose their end."""
        unique = list(dict.fromkeys(texts))
        if not unique:
            return 0
        if isinstance(self.tokenizer, InstructedTokenizer):
            is_cut = self.tokenizer.is_cut(unique)
        else:
            tokens = self.tokenizer(unique)
            context = tokens.shape[1]
            wider = self.tokenizer(unique, context_length=context + 1)[:, :context]
            is_cut = (tokens != wider).any(dim=1).tolist()  # a word in place of the end-of-text
        return sum(map(dict(zip(unique, is_cut, strict=True)).__getitem__, texts))

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embed N texts, each different one once: -> (N, D) float32 on the CPU, order kept.

        The embeddings are those of open_clip's ``encode_text``, up to rounding.
        """
        unique = {text: index for index, text in enumerate(dict.fromkeys(texts))}
        if not unique:
            return torch.empty(0, self.dim)
        tokens = self.tokenizer(list(unique))
        embeddings = torch.empty(0)
        with Progress('texts', len(unique)) as progress:
            for indices, part in self._run(tokens):
                if not len(embeddings):
                    embeddings = torch.empty(len(unique), part.shape[1])
                embeddings[indices] = part.float().cpu()
                progress.advance(len(indices))
        return embeddings[[unique[text] for text in texts]]

    def _run(self, tokens: Tensor) -> Iterator[tuple[list[int], Tensor]]:
        """Embed tokens (U, L) in a convenient order: -> row numbers and their embeddings."""
        lengths = used_lengths(self.tower, tokens)
        if is_causal(self.tower):
            rows = [row[:n] for row, n in zip(tokens.tolist(), lengths.tolist(), strict=True)]
            order = sorted(range(len(rows)), key=rows.__getitem__)
            queue = iter(order)
            for pack in pack_texts([rows[index] for index in order], PACK_TOKENS):
                yield list(islice(queue, len(pack.ends))), embed_pack(self.tower, pack)
            return
        for done in _batches(lengths, BATCH * tokens.shape[1]):
            embeddings = self.tower(tokens[done, : lengths[done[-1]]].to(self.device))
            yield done, embeddings[0] if isinstance(embeddings, tuple) else embeddings


def _batches(lengths: Tensor, size: int) -> Iterator[list[int]]:
    """Batches of at most ``size`` tokens, padding included, the shortest texts first."""
    batch: list[int] = []
    for index in lengths.argsort(stable=True).tolist():
        if batch and (len(batch) + 1) * lengths[index] > size:
            yield batch
            batch = []
        batch.append(index)
    yield batch
