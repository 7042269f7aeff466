"""The one place where open_clip models are made, and where weights enter them."""

import difflib
import functools
import json
import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

import open_clip
import torch
from mmengine.logging import print_log
from open_clip.model import (
    _build_text_tower,
    _build_vision_tower,
    convert_to_custom_text_state_dict,
    resize_pos_embed,
    set_model_preprocess_cfg,
)
from open_clip.timm_model import TimmModel
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from .errors import InputError, MissingInputError

LOCAL_DIR = 'local-dir:'
_OPENAI_KEYS = ('input_resolution', 'context_length', 'vocab_size')


def model_config(model_name: str) -> dict:
    """Return open_clip's configuration of a model: embed_dim, vision_cfg, text_cfg, ...

    ``model_name`` is a name that open_clip lists (its own, or registered by
    ``open_clip.add_model_config``) or ``local-dir:FOLDER``, open_clip's own schema.
    Raises InputError for an unknown name and for CoCa, MissingInputError for a missing folder.
    """
    if model_name.startswith(LOCAL_DIR):
        config = _folder_config(Path(model_name.removeprefix(LOCAL_DIR)))['model_cfg']
    elif model_name.startswith('hf-hub:'):
        raise InputError(
            f'{model_name!r} would be downloaded: fetch the repository into a folder and name '
            f"the model '{LOCAL_DIR}FOLDER'"
        )
    else:
        config = open_clip.get_model_config(model_name.replace('/', '-'))
    if config is None:
        raise InputError(f'open_clip knows no model {model_name!r}{_closest_names(model_name)}')
    if 'multimodal_cfg' in config:
        raise InputError(f'{model_name!r} is a CoCa model, which is not supported')
    return config


def embed_dim(model_name: str) -> int:
    """Return D, the dimension of the space that both towers share."""
    return model_config(model_name)['embed_dim']


def uses_quick_gelu(model_name: str) -> bool:
    """Tell whether the model's own transformers use QuickGELU instead of GELU."""
    return bool(model_config(model_name).get('quick_gelu', False))


def tokenizer_for(model_name: str):
    """Return open_clip's tokenizer of a model, a callable of a list of texts.

    Raises InputError where the tokenizer's files are not on disk and cannot be fetched.
    """
    model_config(model_name)  # open_clip would answer an unknown name with CLIP's tokenizer
    with _needs_hub(model_name, 'tokenizer'):
        return open_clip.get_tokenizer(_open_clip_name(model_name))


def build_open_clip(model_name: str, image_size: int | None = None) -> nn.Module:
    """Return the whole model with random weights: float32, eval mode, nothing downloaded."""
    config = _offline_config(model_name, image_size)
    custom = config.pop('custom_text', False) or 'hf_model_name' in config['text_cfg']
    with _needs_hub(model_name, "text tower's configuration"):
        model = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**config)
    return _finish(model, model_name, image_size)


def build_visual(model_name: str, image_size: int | None = None) -> nn.Module:
    """Return the image tower alone, random weights; no file of the text tower is needed."""
    holder = _visual_holder(model_name, image_size)
    return _finish(holder, model_name, image_size).visual


def build_text(model_name: str) -> nn.Module:
    """Return the text tower alone, random weights: tokens (B, L) -> embeddings (B, D)."""
    config = _offline_config(model_name)
    with _needs_hub(model_name, "text tower's configuration"):
        text = _build_text_tower(
            config['embed_dim'], config['text_cfg'], config.get('quick_gelu', False)
        )
    return text.eval()


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
    # timm towers are loaded at their own size and resized afterwards
    is_timm = 'timm_model_name' in model_config(model_name)['vision_cfg']
    model = build_open_clip(model_name, None if is_timm else image_size)
    _load(model, model_name, pretrained, image_size)
    return _finish(model, model_name, image_size, pretrained)


def load_visual(
    model_name: str, pretrained: str | Path | None = None, image_size: int | None = None
) -> nn.Module:
    """Return the image tower alone with loaded weights; as :func:`load_open_clip` otherwise."""
    is_timm = 'timm_model_name' in model_config(model_name)['vision_cfg']
    holder = _visual_holder(model_name, None if is_timm else image_size)
    _load(holder, model_name, pretrained, image_size, part='visual.')
    return _finish(holder, model_name, image_size, pretrained).visual


def load_text(model_name: str, pretrained: str | Path | None = None) -> nn.Module:
    """Return the text tower alone with loaded weights; as :func:`load_open_clip` otherwise."""
    holder = nn.Module()
    holder.text = build_text(model_name)
    _load(holder, model_name, pretrained, part='text.')
    return holder.text.eval()


def _open_clip_name(model_name: str) -> str:
    is_folder = model_name.startswith(LOCAL_DIR)
    return model_name if is_folder else model_name.replace('/', '-')


def _folder_config(folder: Path) -> dict:
    file = folder / 'open_clip_config.json'
    if not file.is_file():
        raise MissingInputError(
            f"{file} is not there: '{LOCAL_DIR}FOLDER' needs a folder that holds "
            'open_clip_config.json beside the weights'
        )
    try:
        config = json.loads(file.read_text(encoding='utf-8'))
        text = config['model_cfg']['text_cfg']
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not an open_clip configuration with 'model_cfg'") from error
    # the folder may have been moved since its text tower's path was written down
    if 'hf_model_name' in text and (folder / 'config.json').is_file():
        text['hf_model_name'] = str(folder)
    return config


def _closest_names(model_name: str) -> str:
    names = {name.lower(): name for name in open_clip.list_models()}
    close = difflib.get_close_matches(model_name.lower().replace('/', '-'), names, n=3)
    if not close:
        return '; open_clip.list_models() lists them'
    return f': did you mean {" or ".join(names[name] for name in close)}?'


@contextmanager
def _needs_hub(model_name: str, what: str) -> Iterator[None]:
    """Turn Hugging Face's report of a file that it cannot get into one that says what to do."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f'the {what} of {model_name!r} is neither on disk nor can it be fetched: on a machine '
            "with network, save it into a folder, and name that folder as the model's "
            f'hf_model_name and hf_tokenizer_name ({str(error).splitlines()[0]})'
        ) from error


def _offline_config(model_name: str, image_size: int | None = None) -> dict:
    """Configuration that makes random towers instead of downloading pretrained ones."""
    config = model_config(model_name)
    if 'timm_model_name' in config['vision_cfg']:
        config['vision_cfg']['timm_model_pretrained'] = False
    elif image_size is not None:
        config['vision_cfg']['image_size'] = image_size
    if 'hf_model_name' in config['text_cfg']:
        config['text_cfg']['hf_model_pretrained'] = False
    return config


def _visual_holder(model_name: str, image_size: int | None) -> nn.Module:
    config = _offline_config(model_name, image_size)
    holder = nn.Module()
    holder.visual = _build_vision_tower(
        config['embed_dim'], config['vision_cfg'], config.get('quick_gelu', False)
    )
    return holder


def _finish(
    model: nn.Module,
    model_name: str,
    image_size: int | None,
    pretrained: str | Path | None = None,
) -> nn.Module:
    """Bring a timm tower to ``image_size`` and note the preprocessing that the weights expect."""
    visual = model.visual
    if image_size is not None and isinstance(visual, TimmModel):
        visual.set_input_size(image_size)
    preprocess = vars(PreprocessCfg())
    if model_name.startswith(LOCAL_DIR):
        folder = _folder_config(Path(model_name.removeprefix(LOCAL_DIR)))
        preprocess = merge_preprocess_dict(preprocess, folder.get('preprocess_cfg', {}))
    elif pretrained is not None:
        tag = open_clip.get_pretrained_cfg(_open_clip_name(model_name), str(pretrained))
        preprocess = merge_preprocess_dict(preprocess, tag)
    set_model_preprocess_cfg(model, {**preprocess, 'size': visual.image_size})
    return model.float().eval()


def _load(
    model: nn.Module,
    model_name: str,
    pretrained: str | Path | None,
    image_size: int | None = None,
    part: str = '',
) -> None:
    """Load the weights whose names begin with ``part`` into ``model``, strictly."""
    file, from_tag = _weights_file(model_name, pretrained)
    state, from_openai = _read_state(file)
    if from_openai and not uses_quick_gelu(model_name):
        raise InputError(
            f"{file} is OpenAI's own archive, whose weights need QuickGELU, but {model_name!r} "
            f'uses GELU: use {_sibling(model_name, True)!r}'
        )
    if not from_tag and not from_openai:
        _log_activation(file, model_name)
    if not hasattr(model, 'positional_embedding'):
        state = convert_to_custom_text_state_dict(state)
    state = {name: tensor for name, tensor in state.items() if name.startswith(part)}
    own = model.state_dict()
    for name in ('logit_scale', 'logit_bias'):  # a scalar in some files, one element in others
        if name in state and name in own and state[name].numel() == own[name].numel():
            state[name] = state[name].reshape(own[name].shape)
    if 'text.transformer.embeddings.position_ids' not in own:  # written by old transformers
        state.pop('text.transformer.embeddings.position_ids', None)
    _fit_positions(model, state, own, f'{file} into {model_name!r}', image_size)
    _require_same_shapes(state, own, file, model_name)
    model.load_state_dict(state)


def _weights_file(model_name: str, pretrained: str | Path | None) -> tuple[Path, bool]:
    """Return the weights file and whether an open_clip tag named it."""
    if pretrained is None:
        if not model_name.startswith(LOCAL_DIR):
            raise InputError(
                f'no weights are named for {model_name!r}: give pretrained=TAG or FILE'
            )
        folder = Path(model_name.removeprefix(LOCAL_DIR))
        found = open_clip.factory._find_checkpoint_in_dir(folder)
        if found is None:
            raise MissingInputError(f'no weights (.safetensors, .bin, .pth) lie in {folder}')
        return Path(found), False
    name, tag = _open_clip_name(model_name), str(pretrained)
    if open_clip.get_pretrained_cfg(name, tag):
        return _download(name, tag), True
    file = Path(pretrained).expanduser()
    if file.is_file():
        return file, False
    models = open_clip.list_pretrained_models_by_tag(tag)
    if _sibling(name, not uses_quick_gelu(name)) in models:
        raise _activation_error(name, tag)
    if models:
        raise InputError(f'{tag!r} are weights of {", ".join(models[:4])}, not of {model_name!r}')
    tags = ', '.join(open_clip.list_pretrained_tags_by_model(name)) or 'none'
    raise MissingInputError(
        f'the weights {tag!r} of {model_name!r} are neither a file that is there nor a tag of '
        f'open_clip; give the path of a file, or one of its tags: {tags}'
    )


def _sibling(model_name: str, quick_gelu: bool) -> str:
    """Name of the same architecture with the other activation."""
    name = _open_clip_name(model_name).removesuffix('-quickgelu')
    return f'{name}-quickgelu' if quick_gelu else name


def _activation_error(name: str, tag: str) -> InputError:
    own, other = ('QuickGELU', 'GELU') if uses_quick_gelu(name) else ('GELU', 'QuickGELU')
    return InputError(
        f'the weights {tag!r} were trained with {other}, but {name!r} uses {own}: '
        f'use model_name={_sibling(name, other == "QuickGELU")!r}'
    )


def _download(name: str, tag: str) -> Path:
    config = open_clip.get_pretrained_cfg(name, tag)
    if bool(config.get('quick_gelu', False)) != uses_quick_gelu(name):
        raise _activation_error(name, tag)
    try:
        return Path(open_clip.download_pretrained(config))
    except Exception as error:  # whatever the network and two clients raise
        hub = config.get('hf_hub', '')
        repository, _, file = hub.rpartition('/')
        file = file or open_clip.constants.HF_SAFE_WEIGHTS_NAME
        place = f'{file} of https://huggingface.co/{repository}' if hub else config.get('url')
        raise InputError(
            f'the weights {tag!r} of {name!r} cannot be downloaded here: fetch {place} on a '
            f'machine with network and give its path, pretrained=FILE ({type(error).__name__})'
        ) from error


def _read_state(file: Path) -> tuple[dict[str, torch.Tensor], bool]:
    """Return a file's tensors by name, and whether OpenAI's own archive holds them."""
    scripted = False
    try:
        if file.suffix == '.safetensors':
            state = load_file(file)
        elif scripted := _is_torchscript(file):
            state = torch.jit.load(file, map_location='cpu').state_dict()
        else:
            zipped = zipfile.is_zipfile(file)
            state = torch.load(file, map_location='cpu', weights_only=True, mmap=zipped)
        state = dict(state.get('state_dict', state))
    except (
        AttributeError,
        EOFError,
        KeyError,
        OSError,
        RuntimeError,
        SafetensorError,
        TypeError,
        ValueError,
        UnpicklingError,
    ) as error:
        raise InputError(
            f'{file} cannot be read as weights: it is cut short, or not a state dict '
            f'(.safetensors, or .pt/.pth/.bin of tensors alone): {type(error).__name__}'
        ) from error
    state = {name.removeprefix('module.'): tensor for name, tensor in state.items()}
    marks = [state.pop(name) for name in _OPENAI_KEYS if name in state]
    return state, scripted or bool(marks)


def _is_torchscript(file: Path) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith('/constants.pkl') for name in archive.namelist())


@functools.cache  # once a process: both towers may be loaded from one file
def _log_activation(file: Path, model_name: str) -> None:
    activation = 'QuickGELU' if uses_quick_gelu(model_name) else 'GELU'
    print_log(
        f'{file}: used with {activation}, the activation of {model_name!r}; the file itself '
        'does not tell which one it was trained with',
        logger='current',
        level=logging.INFO,
    )


def _fit_positions(
    model: nn.Module, state: dict, own: dict, what: str, image_size: int | None
) -> None:
    """Interpolate a ViT's position embeddings, where the caller asked for another image size."""
    name = 'visual.positional_embedding'
    if name not in state or name not in own or state[name].ndim != 2:
        return
    (theirs, width), (ours, own_width) = state[name].shape, own[name].shape
    if theirs == ours or width != own_width or round((theirs - 1) ** 0.5) ** 2 != theirs - 1:
        return
    if image_size is None:
        raise InputError(
            f'loading {what} would interpolate its position embeddings from {theirs - 1} to '
            f'{ours - 1} patches: name the model of that image size, or give image_size'
        )
    resize_pos_embed(state, model)


def _require_same_shapes(state: dict, own: dict, file: Path, model_name: str) -> None:
    ours, theirs = ({n: tuple(t.shape) for n, t in s.items()} for s in (own, state))
    differ = [
        name for name in [*ours, *(theirs.keys() - ours)] if ours.get(name) != theirs.get(name)
    ]
    if differ:
        lines = ', '.join(
            f'{name} is {theirs.get(name, "absent")} in the file and '
            f'{ours.get(name, "absent")} in the model'
            for name in differ[:3]
        )
        raise InputError(
            f'{file} holds weights of another architecture than {model_name!r}: '
            f'{len(differ)} of {len(ours)} tensors differ, first {lines}'
        )
