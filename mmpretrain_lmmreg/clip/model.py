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
    model_config,
    model_folder,
    open_clip_name,
    preprocess_config,
    require_weights,
)
from .long_text import stretch_state
from .weight_files import open_weights


def tokenizer_for(model_name: str, context: int | None = None):
    """Return open_clip's tokenizer of a model: a list of texts -> tokens (B, context length).

    ``context`` is the length, where it is not the model's own. Raises InputError where the
    tokenizer's files are not on disk and cannot be fetched.
    """
    model_config(model_name)  # open_clip would answer an unknown name with CLIP's tokenizer
    with _from_hub(model_name, 'tokenizer'):
        tokenizer = open_clip.get_tokenizer(open_clip_name(model_name), context_length=context)
    is_own = isinstance(tokenizer, SimpleTokenizer)
    return read_no_further(tokenizer) if is_own else tokenizer


def read_no_further(tokenizer: SimpleTokenizer) -> SimpleTokenizer:
    """Let a tokenizer read of a text no more than can be in its context; returns it.

    Its time grows with the square of a word's length: 32,000 letters without a space, as pictures
    in base64 are, take minutes.
    """
    # a token more than the context, by which a text that is cut is told
    limit = max(map(len, tokenizer.encoder)) * (tokenizer.context_length + 1)
    clean = tokenizer.clean_fn
    tokenizer.clean_fn = lambda text: clean(text)[:limit]
    return tokenizer


def build_open_clip(
    model_name: str, image_size: int | None = None, context: int | None = None
) -> nn.Module:
    """Return the whole model with random weights: float32, eval mode, no weights downloaded."""
    return _finish(_build(model_name, None, image_size, context), model_name, image_size)


def build_visual(
    model_name: str, image_size: int | None = None, pretrained: str | None = None
) -> nn.Module:
    """Return the image tower alone, random weights; no file of the text tower is needed.

    ``pretrained`` are the weights that it is for, whose preprocessing is noted.
    """
    holder = _finish(_build(model_name, 'visual', image_size), model_name, image_size, pretrained)
    return holder.get_submodule('visual')


def build_text(model_name: str, context: int | None = None) -> nn.Module:
    """Return the text tower alone, random weights: tokens (B, L) -> embeddings (B, D)."""
    return _build(model_name, 'text', context=context).get_submodule('text').float().eval()


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
    return _load(model_name, None, pretrained, image_size)


def load_visual(
    model_name: str, pretrained: str | Path | None = None, image_size: int | None = None
) -> nn.Module:
    """Return the image tower alone with loaded weights; as :func:`load_open_clip` otherwise."""
    return _load(model_name, 'visual', pretrained, image_size).get_submodule('visual')


def load_text(
    model_name: str, pretrained: str | Path | None = None, context: int | None = None
) -> nn.Module:
    """Return the text tower alone with loaded weights; as :func:`load_open_clip` otherwise.

    With ``context`` its positions are stretched to so many, see
    :func:`mmpretrain_lmmreg.clip.long_text.stretch`.
    """
    return _load(model_name, 'text', pretrained, context=context).get_submodule('text')


def _load(
    model_name: str,
    tower: str | None,
    pretrained: str | Path | None,
    image_size: int | None = None,
    context: int | None = None,
) -> nn.Module:
    state, source = _read_weights(model_name, pretrained)
    if context is not None:
        state = stretch_state(state, context, source)
    positions = state.get('positional_embedding', state.get('text.positional_embedding'))
    found = None if positions is None else len(positions)
    model = _build(model_name, tower, image_size, found)
    clip_weights.load_strictly(model, state, source, image_size)
    return _finish(model, model_name, image_size, pretrained)


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


def _build(
    model_name: str,
    tower: str | None,
    image_size: int | None = None,
    context: int | None = None,
) -> nn.Module:
    """A random model, or a module with one random tower under the name that it has in a model."""
    config = model_config(model_name)
    vision, text = config['vision_cfg'], config['text_cfg']
    if 'timm_model_name' in vision:  # loaded at its own size, and resized by timm afterwards
        vision['timm_model_pretrained'] = False
    elif image_size is not None:
        vision['image_size'] = image_size
    if 'hf_model_name' in text:
        text['hf_model_pretrained'] = False
    elif context is not None:
        text['context_length'] = context
    custom = config.pop('custom_text', False) or 'hf_model_name' in text
    with _from_hub(model_name, "text tower's configuration"):
        if tower is None:
            return (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**config)
        # open_clip's own factories of one tower, private but there is no other way: a whole model
        # built to take one tower of it would read the other one's files, and, on torch's meta
        # device, leave tables such as the attention mask unfilled
        build, part = (
            (_build_vision_tower, vision) if tower == 'visual' else (_build_text_tower, text)
        )
        holder = nn.Module()
        holder.add_module(tower, build(config['embed_dim'], part, config.get('quick_gelu', False)))
        return holder


def _read_weights(model_name: str, pretrained: str | Path | None) -> tuple[dict[str, Tensor], str]:
    """A state dict whose activation is right, and the words for it in messages."""
    name, quick_gelu = open_clip_name(model_name), model_config(model_name).get('quick_gelu', False)
    file, tagged = _weights_file(model_name, pretrained, quick_gelu)
    opened = open_weights(file)
    if opened.quick_gelu not in (None, quick_gelu):
        raise clip_weights.wrong_activation(f'{file} ({opened.found})', name, quick_gelu)
    if not tagged and pretrained is not None:
        activation = f'{"QuickGELU" if quick_gelu else "GELU"}, as {model_name!r} has it'
        unsure = '; the file does not tell which one it needs' * (opened.quick_gelu is None)
        clip_weights.log_found(file, opened.found, activation + unsure)
    return opened.state, f'{file} into {model_name!r}'


def _weights_file(
    model_name: str, pretrained: str | Path | None, quick_gelu: bool
) -> tuple[Path, bool]:
    """The file of a tag, a file, or the one in a folder; and whether it is of a tag."""
    name = open_clip_name(model_name)
    require_weights(model_name, pretrained)
    if pretrained is None or (model_name, pretrained) == (DEMO, 'demo'):  # as in version 0.1
        return clip_weights.folder_file(model_folder(model_name)), False
    tagged = clip_weights.tagged_file(name, str(pretrained), quick_gelu)
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
    visual: Any = getattr(model, 'visual', None)
    if image_size is not None and isinstance(visual, TimmModel):
        visual.set_input_size(image_size)
    if visual is not None:
        preprocess = preprocess_config(model_name, pretrained)
        set_model_preprocess_cfg(model, {**preprocess, 'size': visual.image_size})
    return model.float().eval()
