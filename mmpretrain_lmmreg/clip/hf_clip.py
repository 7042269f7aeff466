"""Hugging Face's ``CLIPModel`` under open_clip's names."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

_HEAD = r'^(vision_model|text_model)\.'
_LAYERS = (
    (r'\.encoder\.layers\.', '.transformer.resblocks.'),
    (r'\.layer_norm([12])\.', r'.ln_\1.'),
    (r'\.self_attn\.out_proj\.', '.attn.out_proj.'),
    (r'\.mlp\.fc1\.', '.mlp.c_fc.'),
    (r'\.mlp\.fc2\.', '.mlp.c_proj.'),
    (r'\.embeddings\.patch_embedding\.', '.conv1.'),
    (r'\.embeddings\.position_embedding\.weight$', '.positional_embedding'),
    (r'\.embeddings\.(class_embedding|token_embedding)', r'.\1'),
    (r'\.pre_layrnorm\.', '.ln_pre.'),  # so spelt there
    (r'\.post_layernorm\.', '.ln_post.'),
    (r'\.final_layer_norm\.', '.ln_final.'),
    (r'^vision_model\.', 'visual.'),
    (r'^text_model\.', ''),
)
_PART = re.compile(r'(.*)\.self_attn\.([qkv])_proj\.(weight|bias)')


def is_hugging_face(state: Mapping[str, Tensor]) -> bool:
    """Tell whether a state dict has the names of ``CLIPModel`` or of one of its towers."""
    return any(re.match(_HEAD, name) for name in state)


def to_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a ``CLIPModel``'s state dict, or that of a tower, under open_clip's names.

    Query, key and value become one matrix, and projections are transposed. Names that are not of
    ``CLIPModel`` keep what stands behind the tower's, and are refused when they are loaded.
    """
    out: dict[str, Tensor] = {}
    for name, tensor in state.items():
        part = _PART.fullmatch(name)
        if name.endswith('.position_ids') or (part and part[2] != 'q'):
            continue
        if part:
            prefix, _, kind = part.groups()
            names = [f'{prefix}.self_attn.{letter}_proj.{kind}' for letter in 'qkv']
            if all(each in state for each in names):
                tensor = torch.cat([state[each] for each in names])
            name = f'{prefix}.attn.in_proj_{kind}'
        if name in ('visual_projection.weight', 'text_projection.weight'):
            out['visual.proj' if name[0] == 'v' else 'text_projection'] = tensor.t()
            continue
        for pattern, replacement in _LAYERS:
            name = re.sub(pattern, replacement, name)
        out[name] = tensor
    return out


def quick_gelu_of(folder: Path) -> bool | None:
    """Tell whether the ``config.json`` of a folder says QuickGELU; None where it says nothing."""
    try:
        config = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
        parts = [config, *(config.get(name) or {} for name in ('vision_config', 'text_config'))]
        said = {part['hidden_act'] for part in parts if 'hidden_act' in part}
        # transformers leaves out what is the default of a CLIPModel
        return said == {'quick_gelu'} if said else (config.get('model_type') == 'clip' or None)
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return None
