"""Adapters from a language model's width into the joint space, built as their tensors say."""

import re
from collections.abc import Mapping

from torch import Tensor, nn

from ..errors import InputError

_INDEX = re.compile(r'(\d+)\.')


class ResidualBlock(nn.Module):
    """x + MLP(LayerNorm(x)), of which LLM2CLIP stacks some."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        # the dropout keeps the numbers of LLM2CLIP's layers; it is off in eval mode
        self.fn = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(0.0), nn.Linear(hidden, width)
        )
        self.ln = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, W) -> (B, W)."""
        return x + self.fn(self.ln(x))


def is_llm2clip(state: Mapping[str, Tensor]) -> bool:
    """Tell whether an adapter's state dict is LLM2CLIP's: by its name, or its residual blocks."""
    return any(re.search(r'(^|\.)text_adapt[eo]r\.|(^|\.)\d+\.fn\.\d+\.', name) for name in state)


def build_adapter(state: Mapping[str, Tensor], what: str) -> nn.Module:
    """Build and load the adapter of a state dict; ``what`` names it in errors.

    A single linear layer (``weight``, ``bias`` if any), or layers numbered from 0 as in a
    ``Sequential``: matrices are linear layers, vectors LayerNorms, ``N.fn.*`` and ``N.ln.*`` a
    :class:`ResidualBlock`, a number left out between two others a GELU. Of a file of a whole model
    (LLM2CLIP) the entries below ``text_adapter`` or ``text_adaptor`` count.

    Raises:
        InputError: tensors of another form.
    """
    parts = {name: t for name, t in state.items() if re.search(r'(^|\.)text_adapt[eo]r\.', name)}
    parts = parts or dict(state)
    parts = {re.sub(r'^.*text_adapt[eo]r\.', '', name): t.float() for name, t in parts.items()}
    if 'weight' in parts:
        parts = {f'0.{name}': tensor for name, tensor in parts.items()}
    numbers = [int(found[1]) for name in parts if (found := _INDEX.match(name))]
    layers = [_layer(parts, number) for number in range(max(numbers, default=-1) + 1)]
    adapter = nn.Sequential(*layers)
    try:
        adapter.load_state_dict(parts)
        reason = 'it has no linear layer'
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        layers = []
    if not any(isinstance(layer, nn.Linear) for layer in layers):
        raise InputError(
            f'{what} is not an adapter of linear layers, LayerNorms and residual blocks: {reason}',
            code='clip.no_adapter',
        )
    return adapter


def _layer(parts: Mapping[str, Tensor], number: int) -> nn.Module:
    weight, hidden = parts.get(f'{number}.weight'), parts.get(f'{number}.fn.0.weight')
    if hidden is not None:
        return ResidualBlock(hidden.shape[1], hidden.shape[0])
    if weight is None:
        return nn.GELU()
    if weight.ndim == 1:
        return nn.LayerNorm(len(weight))
    return nn.Linear(weight.shape[1], weight.shape[0], bias=f'{number}.bias' in parts)
