"""The one place where open_clip models are made and loaded."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
from open_clip.model import _build_text_tower, _build_vision_tower, set_model_preprocess_cfg
from open_clip.timm_model import TimmModel
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn

from ..errors import InputError, MissingInputError
from . import weights as clip_weights
from .configs import (
    DEMO,
    DEMO_TAG,
    has_weights,
    model_config,
    model_folder,
    open_clip_name,
    preprocess_config,
    uses_quick_gelu,
)
from .long_text import stretch_state
from .tokens import read_no_further
from .weight_files import open_weights

TEXT_POSITIONS = 'text.positional_embedding'


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
            "pip install 'transformers>=4.53,<5'",
            code='clip.package_missing',
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f'the {what} of {model_name!r} is not on disk and cannot be fetched: on a machine '
            'with network, save it into a folder, and name that folder as hf_model_name and '
            f'hf_tokenizer_name in the configuration ({textwrap.shorten(str(error), 160)})',
            code='clip.no_download',
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
    positions of its text tower, where it has such."""
    name, quick_gelu = open_clip_name(model_name), uses_quick_gelu(model_name)
    file, tagged = _weights_file(model_name, pretrained)
    opened = open_weights(file)
    if opened.quick_gelu not in (None, quick_gelu):
        needed, ours = ('QuickGELU', 'GELU') if opened.quick_gelu else ('GELU', 'QuickGELU')
        other = clip_weights.sibling(name, not quick_gelu)
        known = other in open_clip.list_models()
        raise InputError(
            f'{file} is {opened.found}, which needs {needed}, but {model_name!r} uses {ours}: '
            f'{f"use {other!r}" if known else "set quick_gelu in its configuration"}',
            code='clip.other_activation',
        )
    if not tagged and pretrained is not None:
        activation = f'{"QuickGELU" if quick_gelu else "GELU"}, as {model_name!r} has it'
        unsure = '; the file does not tell which one it needs' * (opened.quick_gelu is None)
        clip_weights.log_found(file, opened.found, activation + unsure)
    positions = opened.state.get('positional_embedding', opened.state.get(TEXT_POSITIONS))
    context = None if positions is None else len(positions)
    return opened.state, f'{file} into {model_name!r}', context


def _weights_file(model_name: str, pretrained: str | Path | None) -> tuple[Path, bool]:
    """The file of a tag, a file, or the one in a folder; and whether it is of a tag."""
    name = open_clip_name(model_name)
    if pretrained is None or (model_name, pretrained) == (DEMO, DEMO_TAG):
        if not has_weights(model_name):
            raise InputError(
                f'{model_name!r}: no weights are named; give pretrained=TAG or FILE',
                code='clip.no_weights_named',
            )
        return clip_weights.folder_file(model_folder(model_name)), False
    tagged = clip_weights.tagged_file(name, str(pretrained), uses_quick_gelu(model_name))
    file = tagged or Path(pretrained).expanduser()
    if file.is_dir():
        file = clip_weights.folder_file(file)
    if not file.is_file():
        tags = ', '.join(open_clip.list_pretrained_tags_by_model(name)) or 'none'
        raise MissingInputError(
            f'the weights {str(pretrained)!r} of {model_name!r} are missing: give the path of '
            f'a file, or a tag that open_clip has for this model ({tags})',
            code='clip.missing_file',
        )
    return file, tagged is not None


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
