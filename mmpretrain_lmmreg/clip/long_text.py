"""Text towers that read more than 77 tokens: Long-CLIP's files, and positions stretched like its.

Zhang, Zhang, Dong, Zang and Wang, "Long-CLIP: Unlocking the Long-Text Capability of CLIP", ECCV
2024: the first 20 position embeddings are kept, since these are well trained, and the others
stretched fourfold, 77 -> 248. Theirs were then fine-tuned on long captions; a tower that is only
stretched was not.
"""

import torch
from torch import Tensor

from ..errors import InputError

KEPT = 20
_POSITIONS = 'positional_embedding'


def merge_positions(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put together what Long-CLIP's files hold in two: kept positions and stretched ones.

    The state dict of another file is returned as it is.
    """
    state = dict(state)
    for name in [name for name in state if name.endswith(f'{_POSITIONS}_res')]:
        kept, stretched = state[name.removesuffix('_res')], state.pop(name)
        state[name.removesuffix('_res')] = torch.cat([kept[:KEPT], stretched[KEPT:]])
    return state


def stretch(positions: Tensor, context: int) -> Tensor:
    """Position embeddings (L, W) -> (context, W): the first 20 as they are, the others stretched.

    Position 20 + j becomes the linear interpolation at 20 + j * (L - 20) / (context - 20); the
    last few, behind the last embedding there is, go on in its direction.

    Raises:
        InputError: a context that is shorter than the tower's, or a tower too short to stretch.
    """
    length = len(positions)
    if context < length or length < KEPT + 2:
        raise InputError(
            f'text_context={context}: the text tower has {length} positions, which can be '
            f'stretched to more where they are at least {KEPT + 2}, not cut',
            code='clip.text_context',
        )
    rest = positions[KEPT:].double()
    at = torch.arange(context - KEPT, device=rest.device).double()
    at = at * (length - KEPT) / (context - KEPT)
    below = at.long().clamp_max(len(rest) - 2)
    stretched = torch.lerp(rest[below], rest[below + 1], (at - below)[:, None])
    return torch.cat([positions[:KEPT], stretched.to(positions)])


def stretch_state(state: dict[str, Tensor], context: int, what: str) -> dict[str, Tensor]:
    """Stretch the text tower's positions in a state dict; ``what`` names it in errors."""
    name = next((n for n in (_POSITIONS, f'text.{_POSITIONS}') if n in state), None)
    if name is None:
        raise InputError(
            f'{what}: text_context={context} is for text towers of open_clip with position '
            'embeddings, and this one has none of that name',
            code='clip.text_context',
        )
    return {**state, name: stretch(state[name], context)}
