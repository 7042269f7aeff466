"""The one place where open_clip models are made and loaded."""

import difflib
import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
from open_clip.model import _build_text_tower, _build_vision_tower, set_model_preprocess_cfg
from open_clip.timm_model import TimmModel
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from torch import Tensor, nn

from ..demo import CLIP_FOLDER
from ..errors import InputError, MissingInputError
from . import lite0_minilm
from . import weights as clip_weights
from .long_text import merge_positions, stretch_state
from .tokens import read_no_further

LOCAL_DIR = 'local-dir:'
DEMO, DEMO_TAG = 'demo-clip', 'demo'


def open_clip_name(model_name: str) -> str:
    """Return what open_clip calls a model.

    The package's own models become the ``local-dir:`` folders that hold them: ``lite0-minilm``,
    built on first use by :mod:`mmpretrain_lmmreg.clip.lite0_minilm`, and ``demo-clip``, the tiny
    CLIP of the demo's drawings. OpenAI's names are taken, too.

    >>> open_clip_name('ViT-L/14')
    'ViT-L-14'
    """
    if model_name == lite0_minilm.NAME:
        return f'{LOCAL_DIR}{lite0_minilm.folder()}'
    if model_name == DEMO:
        return f'{LOCAL_DIR}{CLIP_FOLDER}'
    return model_name if model_name.startswith(LOCAL_DIR) else model_name.replace('/', '-')


def has_weights(model_name: str) -> bool:
    """Tell whether a model is a folder with its own weights, so that none need be named."""
    return model_name in (DEMO, lite0_minilm.NAME) or model_name.startswith(LOCAL_DIR)


def model_config(model_name: str) -> dict:
    """Return open_clip's configuration of a model: embed_dim, vision_cfg, text_cfg, ...

    ``model_name`` is a name that open_clip lists (its own, or registered by
    ``open_clip.add_model_config``), ``local-dir:FOLDER``, open_clip's own schema, or one of the
    package's own models, see :func:`open_clip_name`.
    Raises InputError for an unknown name and for CoCa, MissingInputError for a missing folder.
    """
    if has_weights(model_name):
        config = _folder_config(model_name)['model_cfg']
    elif model_name.startswith('hf-hub:'):
        raise InputError(
            f'{model_name!r} would be downloaded: fetch the repository into a folder and name '
            f"the model '{LOCAL_DIR}FOLDER'"
        )
    else:
        config = open_clip.get_model_config(open_clip_name(model_name))
    if config is None:
        raise InputError(f'open_clip knows no model {model_name!r}{_closest_names(model_name)}')
    if 'multimodal_cfg' in config:
        raise InputError(f'{model_name!r} is a CoCa model, which is not supported')
    return config


def embed_dim(model_name: str) -> int:
    """Return D, the dimension of the space that both towers share."""
    return model_config(model_name)['embed_dim']


def uses_quick_gelu(model_name: str) -> bool:
    """Tell whether open_clip's transformers in this model use QuickGELU rather than GELU."""
    return bool(model_config(model_name).get('quick_gelu', False))


def preprocess_config(model_name: str, pretrained: str | Path | None = None) -> dict:
    """Return how a model's images are prepared, in open_clip's words.

    Those are ``size`` in pixels, ``mean`` and ``std`` of channels from 0 to 1, ``interpolation``
    and ``resize_mode``; of tags, what open_clip lists for them, else CLIP's own.
    """
    if has_weights(model_name):
        expected = _folder_config(model_name).get('preprocess_cfg', {})
    else:
        expected = open_clip.get_pretrained_cfg(open_clip_name(model_name), str(pretrained))
    size = model_config(model_name)['vision_cfg'].get('image_size', PreprocessCfg().size)
    return merge_preprocess_dict({**vars(PreprocessCfg()), 'size': size}, expected)


def tokenizer_for(model_name: str, context: int | None = None):
    """Return open_clip's tokenizer of a model: a list of texts -> tokens (B, context length).

    ``context`` is the length, where it is not the model's own.

    Raises InputError where the tokenizer's files are not on disk and cannot be fetched.
    """
    model_config(model_name)  # open_clip would answer an unknown name with CLIP's tokenizer
    with _from_hub(model_name, 'tokenizer'):
        tokenizer = open_clip.get_tokenizer(open_clip_name(model_name), context_length=context)
    is_own = isinstance(tokenizer, SimpleTokenizer)
    return read_no_further(tokenizer) if is_own else tokenizer


def build_open_clip(
    model_name: str, image_size: int | None = None, context: int | None = None
) -> nn.Module:
    """Return the whole model with random weights: float32, eval mode, no weights downloaded."""
    config = _config_without_weights(model_name, image_size, context)
    custom = config.pop('custom_text', False) or 'hf_model_name' in config['text_cfg']
    with _from_hub(model_name, "text tower's configuration"):
        model = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**config)
    return _finish(model, model_name, image_size)


def build_visual(model_name: str, image_size: int | None = None) -> nn.Module:
    """Return the image tower alone, random weights; no file of the text tower is needed."""
    return _finish(_holder(model_name, 'visual', image_size), model_name, image_size).get_submodule(
        'visual'
    )


def build_text(model_name: str, context: int | None = None) -> nn.Module:
    """Return the text tower alone, random weights: tokens (B, L) -> embeddings (B, D)."""
    return _holder(model_name, 'text', context=context).get_submodule('text').float().eval()


def load_open_clip(
    model_name: str, pretrained: str | Path | None = None, image_size: int | None = None
) -> nn.Module:
    """Return the whole model with the weights of an open_clip tag or a file, loaded strictly.

    ``pretrained=None`` takes the weights that lie in a ``local-dir:`` folder.
    ``image_size`` allows position embeddings of another size to be interpolated.

    Raises MissingInputError where the file is not there, and InputError for: an unknown or
    unreachable tag; weights of another architecture or activation (a tag's QuickGELU must be
    the model's, OpenAI's own archive needs QuickGELU; for other files the activation in use is
    logged); position embeddings that would be interpolated without ``image_size``.
    """
    state, source, context = _read_weights(model_name, pretrained)
    size = _size_before_loading(model_name, image_size)
    model = build_open_clip(model_name, size, context)
    clip_weights.load_strictly(model, state, source, image_size)
    return _finish(model, model_name, image_size, pretrained)


def load_visual(
    model_name: str, pretrained: str | Path | None = None, image_size: int | None = None
) -> nn.Module:
    """Return the image tower alone with loaded weights; as :func:`load_open_clip` otherwise."""
    state, source, _ = _read_weights(model_name, pretrained)
    holder = _holder(model_name, 'visual', _size_before_loading(model_name, image_size))
    clip_weights.load_strictly(holder, state, source, image_size)
    return _finish(holder, model_name, image_size, pretrained).get_submodule('visual')


def load_text(
    model_name: str, pretrained: str | Path | None = None, context: int | None = None
) -> nn.Module:
    """Return the text tower alone with loaded weights; as :func:`load_open_clip` otherwise.

    With ``context`` its positions are stretched to so many, see
    :func:`mmpretrain_lmmreg.clip.long_text.stretch`.
    """
    state, source, found = _read_weights(model_name, pretrained)
    if context is not None:
        state = stretch_state(state, context, source)
    holder = _holder(model_name, 'text', context=context or found)
    clip_weights.load_strictly(holder, state, source)
    return holder.get_submodule('text').float().eval()


def _folder(model_name: str) -> Path:
    return Path(open_clip_name(model_name).removeprefix(LOCAL_DIR))


def _folder_config(model_name: str) -> dict:
    folder = _folder(model_name)
    file = folder / 'open_clip_config.json'
    if not file.is_file():
        raise MissingInputError(
            f"{file} is not there: '{LOCAL_DIR}FOLDER' needs a folder that holds "
            'open_clip_config.json beside the weights'
        )
    try:
        config = json.loads(file.read_text(encoding='utf-8'))
        text = config['model_cfg']['text_cfg']
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not an open_clip configuration with 'model_cfg'") from error
    # the folder may have been moved since its text tower's path was written down
    if 'hf_model_name' in text and (folder / 'config.json').is_file():
        text['hf_model_name'] = str(folder)
    return config


def _closest_names(model_name: str) -> str:
    names = {name.lower(): name for name in open_clip.list_models()}
    close = difflib.get_close_matches(model_name.lower().replace('/', '-'), names, n=3)
    if not close:
        return '; open_clip.list_models() lists those that it knows'
    return f': did you mean {" or ".join(names[name] for name in close)}?'


@contextmanager
def _from_hub(model_name: str, what: str) -> Iterator[None]:
    """Turn Hugging Face's report of a file that it cannot get into one that says what to do."""
    try:
        with clip_weights.no_waiting_for_hub():
            yield
    except (ImportError, RuntimeError) as error:
        if 'transformers' not in str(error):
            raise
        raise InputError(
            f'the text tower of {model_name!r} is one of Hugging Face, which needs a package: '
            "pip install 'transformers>=4.53,<5'"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f'the {what} of {model_name!r} is not on disk and cannot be fetched: on a machine '
            'with network, save it into a folder, and name that folder as hf_model_name and '
            f'hf_tokenizer_name in the configuration ({textwrap.shorten(str(error), 160)})'
        ) from error


def _config_without_weights(
    model_name: str, image_size: int | None = None, context: int | None = None
) -> dict:
    """Configuration of random towers, with no pretrained ones fetched for their inside."""
    config = model_config(model_name)
    if 'timm_model_name' in config['vision_cfg']:
        config['vision_cfg']['timm_model_pretrained'] = False
    elif image_size is not None:
        config['vision_cfg']['image_size'] = image_size
    if 'hf_model_name' in config['text_cfg']:
        config['text_cfg']['hf_model_pretrained'] = False
    elif context is not None:
        config['text_cfg']['context_length'] = context
    return config


def _holder(
    model_name: str, tower: str, image_size: int | None = None, context: int | None = None
) -> nn.Module:
    """Module with one random tower as its only child, under the name it has in a whole model."""
    config = _config_without_weights(model_name, image_size, context)
    # open_clip's own factories of one tower, private but there is no other way: a whole model built
    # to take one tower of it would read the other one's files, and, on torch's meta device, leave
    # tables such as the attention mask unfilled
    build = {'visual': _build_vision_tower, 'text': _build_text_tower}[tower]
    part = config['vision_cfg' if tower == 'visual' else 'text_cfg']
    with _from_hub(model_name, "text tower's configuration"):
        built = build(config['embed_dim'], part, config.get('quick_gelu', False))
    holder = nn.Module()
    holder.add_module(tower, built)
    return holder


def _size_before_loading(model_name: str, image_size: int | None) -> int | None:
    """A timm tower is loaded at its own size and resized afterwards, by timm."""
    is_timm = 'timm_model_name' in model_config(model_name)['vision_cfg']
    return None if is_timm else image_size


def _read_weights(
    model_name: str, pretrained: str | Path | None
) -> tuple[dict[str, Tensor], str, int | None]:
    """Return a state dict whose activation is right, the words for it in messages, and the
    positions of its text tower where they are not the model's own (Long-CLIP)."""
    quick_gelu = uses_quick_gelu(model_name)
    tagged = None
    if (model_name, pretrained) == (DEMO, DEMO_TAG):
        pretrained = None
    if pretrained is not None:
        tagged = clip_weights.tagged_file(open_clip_name(model_name), str(pretrained), quick_gelu)
        file = tagged or Path(pretrained).expanduser()
    elif has_weights(model_name):
        file = clip_weights.folder_file(_folder(model_name))
    else:
        raise InputError(f'{model_name!r}: no weights are named; give pretrained=TAG or FILE')
    if not file.is_file():
        tags = (
            ', '.join(open_clip.list_pretrained_tags_by_model(open_clip_name(model_name))) or 'none'
        )
        raise MissingInputError(
            f'the weights {str(pretrained)!r} of {model_name!r} are not there: give the path of '
            f'a file, or a tag that open_clip has for this model ({tags})'
        )
    state, from_openai = clip_weights.read_state(file)
    state, context = merge_positions(state)
    needs_quick_gelu = from_openai or context is not None
    if needs_quick_gelu and not quick_gelu:
        other = clip_weights.sibling(open_clip_name(model_name), True)
        known = other in open_clip.list_models()
        raise InputError(
            f"{file} is {'OpenAI' if from_openai else 'Long-CLIP'}'s own archive, which needs "
            f'QuickGELU, but {model_name!r} uses GELU: '
            f'{f"use {other!r}" if known else "set quick_gelu in its configuration"}'
        )
    if not tagged and not needs_quick_gelu:
        clip_weights.log_activation(file, model_name, quick_gelu)
    return state, f'{file} into {model_name!r}', context


def _finish(
    model: nn.Module,
    model_name: str,
    image_size: int | None,
    pretrained: str | Path | None = None,
) -> nn.Module:
    """Bring a timm tower to ``image_size`` and note the preprocessing that the weights expect."""
    visual: Any = model.visual
    if image_size is not None and isinstance(visual, TimmModel):
        visual.set_input_size(image_size)
    preprocess = preprocess_config(model_name, pretrained)
    set_model_preprocess_cfg(model, {**preprocess, 'size': visual.image_size})
    return model.float().eval()
