"""What people have as CLIP weights: opened, unwrapped, and under open_clip's names."""

import argparse
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from ..errors import InputError
from ..io.checksums import check_file
from .long_text import merge_positions

_OPENAI_KEYS = ('input_resolution', 'context_length', 'vocab_size')
_WRAPPED = re.compile(r'_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.')
# The names of the parts of a CLIP; what stands before them is a wrapper's
_PARTS = (
    'visual|vision_model|visual_projection|image_encoder|text|text_model|text_encoder|transformer'
    '|token_embedding|positional_embedding|ln_final|text_projection|logit_scale|logit_bias'
)
_PREFIX = re.compile(rf'((?:\w+\.)*?)(?:{_PARTS})(?:\.|$|_res$)')
_AVERAGE = re.compile(r'(?:^|[._])(?:ema|swa|avg|averaged)(?:[._]|$)')
_TOWERS = ('visual.', 'vision_model.', 'text.', 'text_model.', 'transformer.', 'image_encoder.')
# Data without code that trainers keep beside weights, such as their options and best accuracy
_HARMLESS = [argparse.Namespace, np.dtype, np.float64(0).__reduce__()[0]]
_HARMLESS += [type(np.dtype(kind)) for kind in ('f4', 'f8', 'i4', 'i8')]
# Hugging Face's names of CLIPModel, and open_clip's
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


@dataclass(frozen=True)
class WeightsFile:
    """Tensors of a file under open_clip's names, and what the file says of its model.

    ``found`` says what the file was, in words; ``quick_gelu`` is None where it cannot tell.
    """

    state: dict[str, Tensor]
    found: str
    quick_gelu: bool | None


def open_weights(file: Path) -> WeightsFile:
    """Open a file of CLIP weights in any form that people have; docs/models.md lists them.

    No code in a file is run.

    Raises:
        InputError: a file that cannot be read, holds objects that would run code, no CLIP, or
            several; one that does not fit the ``checksums.json`` beside it.

    Example:
        >>> open_weights(Path('epoch_3.pt')).found  # doctest: +SKIP
        "'state_dict' of a training checkpoint, without the prefix 'module.'"
    """
    content, scripted = read_content(file)
    where, state = _choose(dict(_state_dicts(content)), file)
    state = {_WRAPPED.sub('', name): t for name, t in state.items() if isinstance(t, Tensor)}
    openai = [state.pop(name) for name in _OPENAI_KEYS if name in state]
    prefix, state = _strip(state, file)
    found = [f'{where!r} of a training checkpoint'] if where else []
    found += [f'without the prefix {prefix!r}'] if prefix else []
    quick_gelu = None
    if 'vision_model.head.probe' in state:
        raise InputError(
            f"{file} is Hugging Face's SiglipModel, which is not converted: take the file of the "
            "same model in open_clip's form",
            code='clip.not_converted',
        )
    if is_hugging_face(state):
        found.append("converted from Hugging Face's CLIPModel")
        state, quick_gelu = to_open_clip(state), quick_gelu_of(file.parent)
    elif scripted or openai:
        found.append("OpenAI's own archive")
        quick_gelu = True
    merged = merge_positions(state)
    if merged.keys() != state.keys():
        found.append('Long-CLIP')
        quick_gelu = True
    if any(t.dtype in (torch.float16, torch.bfloat16) for t in merged.values()):
        found.append('half precision')
    return WeightsFile(merged, ', '.join(found) or "open_clip's names", quick_gelu)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file that is no CLIP, by their names without ``module.``."""
    content = read_content(file)[0]
    content = content.get('state_dict', content) if isinstance(content, Mapping) else {}
    tensors = {n.removeprefix('module.'): t for n, t in content.items() if isinstance(t, Tensor)}
    if not tensors:
        raise InputError(f'{file} holds no tensors by name', code='clip.unreadable')
    return tensors


def read_content(file: Path) -> tuple[Any, bool]:
    """What a file of tensors holds, and whether it is a TorchScript archive."""
    try:
        check_file(file)
    except ValueError as error:
        raise InputError(
            f'{file}: {error}; export, install or fetch the folder again', code='clip.damaged'
        ) from error
    try:
        with open(file, 'rb') as opened:
            start = opened.read(9)
        if file.suffix == '.safetensors' or start[8:] == b'{':  # whatever the file is called
            return load_file(file), False
        zipped = zipfile.is_zipfile(file)
        if zipped and any(n.endswith('/constants.pkl') for n in zipfile.ZipFile(file).namelist()):
            return torch.jit.load(file, map_location='cpu').state_dict(), True
        allowed = getattr(torch.serialization, 'safe_globals', nullcontext)  # torch 2.4 has none
        with allowed(_HARMLESS):
            return torch.load(file, map_location='cpu', weights_only=True, mmap=zipped), False
    except Exception as error:  # the unpickler's are of any kind
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> InputError:
    with open(file, 'rb') as opened:
        start = opened.read(64)
    if start.startswith(b'version https://git-lfs'):
        return InputError(
            f'{file} is a Git LFS pointer, not the weights: fetch them by "git lfs pull"',
            code='clip.unreadable',
        )
    named = re.search(r'GLOBAL (\S+)|global:? (\S+\.\w+)', str(error))
    if named:
        return InputError(
            f'{file} holds an object of {named[1] or named[2]}, and reading it would run code: '
            'save the tensors alone, by torch.save(model.state_dict(), FILE), where it was made',
            code='clip.code_in_file',
        )
    return InputError(
        f'{file} cannot be read as weights: it is cut short, or not a state dict '
        f'(.safetensors, or .pt, .pth, .bin with nothing but tensors): {type(error).__name__}',
        code='clip.unreadable',
    )


def _state_dicts(content: Any, where: str = '', depth: int = 3) -> Iterator[tuple[str, Mapping]]:
    """The mappings with tensors by name in nested ones, and the keys that lead to them."""
    if not isinstance(content, Mapping):
        return
    if any(isinstance(t, Tensor) and _PREFIX.match(str(n)) for n, t in content.items()):
        yield where, {str(name): value for name, value in content.items()}
    elif depth:
        for name, value in content.items():
            yield from _state_dicts(value, f'{where}.{name}' if where else str(name), depth - 1)


def _choose(found: dict[str, Any], file: Path) -> tuple[str, Mapping]:
    """One of several state dicts or prefixes: an average of weights before the weights."""
    averages = [name for name in found if _AVERAGE.search(name)]
    left = averages if len(averages) == 1 else list(found)
    if not left:
        raise InputError(
            f'{file} holds no weights of a CLIP: no tensor is named like an image or text tower',
            code='clip.no_clip',
        )
    if len(left) > 1:
        raise InputError(
            f'{file} holds several models ({", ".join(map(repr, left[:5]))}): save one of them '
            'into a file of its own',
            code='clip.several_models',
        )
    return left[0], found[left[0]]


def _strip(state: Mapping[str, Tensor], file: Path) -> tuple[str, dict[str, Tensor]]:
    """The prefix before the names of a CLIP's towers, and the tensors without it."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if found := _PREFIX.match(name):
            groups.setdefault(found[1], {})[name.removeprefix(found[1])] = tensor
    models = {p: g for p, g in groups.items() if any(n.startswith(_TOWERS) for n in g)}
    prefix, chosen = _choose(models, file)
    # nothing is before the names: what else is there is refused as unknown
    return prefix, dict(state if not prefix else chosen)


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
