"""Text towers that are a language model of a Hugging Face folder with an adapter, as LLM2CLIP's."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InputError, MissingInputError, require_one_of
from ..io.files import check_fields, digest, parse_json
from .adapter import build_adapter, is_llm2clip
from .weight_files import read_tensors

HF_DIR = 'hf-dir:'
SETTINGS = 'text_tower.json'
POOLINGS = ('last', 'mean', 'mean_text')
DEFAULTS: dict[str, Any] = dict(
    pooling='last',
    instruction='',
    ending='',
    max_length=512,
    bidirectional=False,
    adapter='',
    normalize=None,
)
PADDING = -1  # no token's number: the padding token of many language models is one with a meaning


class LanguageModelText(nn.Module):
    """Tokens (B, L), ``PADDING`` behind each text -> embeddings (B, D), not normalised.

    Args:
        model: A Hugging Face model with ``last_hidden_state``.
        adapter: From its width to D.
        pooling: The ``'last'`` token's state; the ``'mean'`` of all; or ``'mean_text'``, of those
            behind the instruction and what the tokenizer begins with (as LLM2Vec pools).
        skip: Tokens in front of the text.
        bidirectional: Let all tokens of a text see each other, as LLM2Vec's models are trained.
        normalize: Scale what is pooled to unit length (L2) before the adapter, as LLM2CLIP does.
    """

    def __init__(
        self,
        model: Any,
        adapter: nn.Module,
        pooling: str = 'last',
        skip: int = 0,
        bidirectional: bool = False,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.adapter = adapter
        self.pooling, self.skip, self.bidirectional = pooling, skip, bidirectional
        self.normalize = normalize

    def extra_repr(self) -> str:
        """What the embeddings depend on besides modules and weights."""
        config = {k: v for k, v in self.model.config.to_dict().items() if not k.startswith('_')}
        form = f'{self.pooling}, {self.skip}, {self.bidirectional}'
        return f'{form}, normalize={self.normalize}, {digest(config)}'

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L) -> (B, D)."""
        there = tokens != PADDING
        there[:, 0] |= ~there.any(1)  # an empty text is token 0
        mask = there.long()
        if self.bidirectional:
            mask = torch.zeros(there.shape, device=there.device).masked_fill(~there, float('-inf'))
            mask = mask[:, None, None].expand(-1, 1, tokens.shape[1], -1)
        states = self.model(input_ids=tokens.clamp_min(0), attention_mask=mask).last_hidden_state
        pooled = self.pool(states, there)
        return self.adapter(F.normalize(pooled, dim=-1) if self.normalize else pooled)

    def pool(self, states: Tensor, there: Tensor) -> Tensor:
        """States (B, L, W) of tokens that are there (B, L) -> (B, W)."""
        if self.pooling == 'last':
            return states[torch.arange(len(states)), there.sum(1) - 1]
        if self.pooling == 'mean_text':
            text = there & (torch.arange(there.shape[1], device=there.device) >= self.skip)
            there = torch.where(text.any(1, keepdim=True), text, there)
        counted = there[..., None]
        return (states * counted).sum(1) / counted.sum(1)


class InstructedTokenizer:
    """Instruction, text and ending -> tokens (B, context length), ``PADDING`` behind them.

    A text that is too long loses its own end, not the ending. ``skip`` and ``tail`` are the
    numbers of tokens in front of a text and behind it, whatever it is.
    """

    def __init__(self, tokenizer: Any, instruction: str, ending: str, context: int) -> None:
        self.tokenizer, self.context = tokenizer, context
        self.instruction, self.ending = instruction, ending
        first, second = self._rows(['A bird', '7 dogs run'])
        # a space at its end belongs to the word that follows, whether both are one token or not
        before = tokenizer(instruction.rstrip(' '), verbose=False)['input_ids']
        self.skip = len(os.path.commonprefix([before, first, second]))
        self.tail = len(os.path.commonprefix([first[::-1], second[::-1]]))
        if self.skip + self.tail >= context:
            raise InputError(
                f'instruction and ending have {self.skip + self.tail} tokens, of the {context} '
                'that are read (max_length or text_context)',
                code='clip.text_context',
            )

    def _rows(self, texts: Sequence[str]) -> list[list[int]]:
        whole = [self.instruction + text + self.ending for text in texts]
        whole = [text.encode(errors='replace').decode() for text in whole]  # halves of pairs
        return self.tokenizer(whole, verbose=False)['input_ids']

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Tokens (B, L)."""
        tokens = torch.full((len(texts), self.context), PADDING)
        for row, out in zip(self._rows(texts), tokens, strict=True):
            if len(row) > self.context:
                row = row[: self.context - self.tail] + row[len(row) - self.tail :]
            out[: len(row)] = torch.tensor(row, dtype=torch.long)
        return tokens

    def is_cut(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read."""
        return [len(row) > self.context for row in self._rows(texts)]


def load_hf_text(
    model_name: str, context: int | None = None
) -> tuple[LanguageModelText, InstructedTokenizer]:
    """Return the text tower of ``'hf-dir:FOLDER'`` with its weights, and its tokenizer.

    Beside a model and tokenizer as transformers saves them, the folder holds ``text_tower.json``
    with any of :data:`DEFAULTS`, see docs/models.md. No code of the folder is run.

    Raises:
        MissingInputError: folder, settings or adapter are not there.
        InputError: unknown settings, incomplete weights, an adapter of another width.
    """
    folder = Path(model_name.removeprefix(HF_DIR)).expanduser()
    settings = read_settings(folder / SETTINGS)
    model, hf_tokenizer = _load_model(folder)
    tokenizer = InstructedTokenizer(
        hf_tokenizer, settings['instruction'], settings['ending'], context or settings['max_length']
    )
    adapter: nn.Module = nn.Identity()
    if settings['adapter']:
        file = folder / settings['adapter']
        if not file.is_file():
            raise MissingInputError(
                f'{file}, the adapter of {folder / SETTINGS}, does not exist',
                code='clip.missing_file',
            )
        tensors = read_tensors(file)
        adapter = build_adapter(tensors, str(file))
        if settings['normalize'] is None:  # LLM2CLIP's adapters were trained on unit vectors
            settings['normalize'] = is_llm2clip(tensors)
        width = next(p for p in adapter.parameters() if p.ndim == 2).shape[1]
        if width != model.config.hidden_size:
            raise InputError(
                f'{file} takes states of width {width}, but the language model of {folder} has '
                f'{model.config.hidden_size}: they are not of one pair',
                code='clip.no_adapter',
            )
    tower = LanguageModelText(
        model,
        adapter,
        settings['pooling'],
        tokenizer.skip,
        settings['bidirectional'],
        bool(settings['normalize']),
    )
    return tower, tokenizer


def read_settings(file: Path) -> dict[str, Any]:
    """The settings of a ``text_tower.json``, the defaults filled in."""
    if not file.is_file():
        raise MissingInputError(
            f"{file} does not exist: '{HF_DIR}FOLDER' needs a folder with a language model, its "
            f'tokenizer and {SETTINGS}, which may have {", ".join(DEFAULTS)}',
            code='clip.missing_file',
        )
    found = parse_json(file.read_bytes(), file)
    if not isinstance(found, dict) or not found.keys() <= DEFAULTS.keys():
        raise InputError(
            f'{file}: {found!r:.200} is no object with any of {", ".join(DEFAULTS)} alone',
            code='clip.bad_configuration',
        )
    found = {name: value for name, value in found.items() if value is not None}
    form = {f'{name}?': type(value) for name, value in DEFAULTS.items()}
    check_fields(found, {**form, 'normalize?': bool}, file)
    settings = DEFAULTS | found
    require_one_of(f'{file}: pooling', settings['pooling'], POOLINGS)
    return settings


def _load_model(folder: Path) -> tuple[Any, Any]:
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise InputError(
            f"'{HF_DIR}FOLDER' needs a package: pip install 'transformers>=4.53,<5'",
            code='clip.package_missing',
        ) from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, info = AutoModel.from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f'{folder} holds no model and tokenizer of transformers: {error}',
            code='clip.no_language_model',
        ) from None
    missing = [name for name in info['missing_keys'] if not name.startswith('pooler.')]
    if missing:
        raise InputError(
            f'{folder}: {len(missing)} tensors of the language model are not in its weights, '
            f'the first is {sorted(missing)[0]}',
            code='clip.no_language_model',
        )
    return model, tokenizer
