"""Weights of open_clip models: which file holds them, what is in it, and whether it fits."""

import functools
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import huggingface_hub
import open_clip
import torch
from huggingface_hub.utils import reset_sessions
from mmengine.logging import print_log
from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed
from torch import nn

from ..errors import InputError, MissingInputError

SUFFIXES = ('.safetensors', '.bin', '.pth', '.pt')
STEMS = ('open_clip_model', 'open_clip_pytorch_model', 'model', 'pytorch_model')
_POSITIONS = 'visual.positional_embedding'


@contextmanager
def no_waiting_for_hub() -> Iterator[None]:
    """Without a network, let Hugging Face's client use its cache or fail at once.

    By itself it tries each file for about half a minute, with a page of warnings.
    """
    if not _is_offline():
        yield
        return
    constants = huggingface_hub.constants
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    reset_sessions()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        reset_sessions()


def _is_offline() -> bool:
    try:  # with a proxy, names are resolved elsewhere
        host = urlsplit(huggingface_hub.constants.ENDPOINT).hostname
        return not getproxies() and not socket.getaddrinfo(host, 443)
    except OSError:
        return True


def tagged_file(name: str, tag: str, quick_gelu: bool) -> Path | None:
    """Return the file of an open_clip tag, downloaded if necessary, or None without such a tag.

    Raises InputError for a tag of the other activation (``quick_gelu`` is the model's), a tag
    of other models only, and a tag that cannot be downloaded.
    """
    config = open_clip.get_pretrained_cfg(name, tag)
    models = open_clip.list_pretrained_models_by_tag(tag)
    if not config and sibling(name, not quick_gelu) not in models:
        if models:
            own = ': set pretrained=None for its own' * name.startswith('local-dir:')
            raise InputError(
                f'{tag!r} are weights of {", ".join(models[:4])}, not of {name!r}{own}',
                code='clip.other_model',
            )
        return None
    if not config or bool(config.get('quick_gelu', False)) != quick_gelu:
        raise wrong_activation(f'the tag {tag!r}', name, quick_gelu)
    try:
        with no_waiting_for_hub():
            return Path(open_clip.download_pretrained(config))
    except Exception as error:  # whatever the network and two clients raise
        repository, _, file = config.get('hf_hub', '').rpartition('/')
        file = file or open_clip.constants.HF_SAFE_WEIGHTS_NAME
        place = f'{file} of https://huggingface.co/{repository}'
        raise InputError(
            f'the weights {tag!r} of {name!r} cannot be downloaded here: fetch '
            f'{place if repository else config.get("url")} on a machine with network and give '
            'the path of the file: --cfg-options model.backbone.pretrained=FILE. To try the whole '
            "way without a download, take the small model 'lite0-minilm' (see docs/models.md)",
            code='clip.no_download',
        ) from error


def wrong_activation(what: str, name: str, quick_gelu: bool) -> InputError:
    """The error of weights that need the other activation than a model's (``quick_gelu``)."""
    ours, needed = ('QuickGELU', 'GELU') if quick_gelu else ('GELU', 'QuickGELU')
    other = sibling(name, not quick_gelu)
    known = other in open_clip.list_models()
    return InputError(
        f'{what} needs {needed}, but {name!r} uses {ours}: '
        + (f'use {other!r}' if known else 'set quick_gelu in its configuration'),
        code='clip.other_activation',
    )


def sibling(name: str, quick_gelu: bool) -> str:
    """open_clip's name for the same architecture with, or without, QuickGELU."""
    return name.removesuffix('-quickgelu') + '-quickgelu' * quick_gelu


def folder_file(folder: Path) -> Path:
    """Return the one weights file of a folder, or the one named as open_clip or transformers do."""
    files = sorted(f for f in folder.iterdir() if f.suffix in SUFFIXES)
    named = [f for f in files if f.stem in STEMS]
    if not files:
        raise MissingInputError(
            f'no weights ({", ".join(SUFFIXES)}) lie in {folder}', code='clip.missing_file'
        )
    if len(files) > 1 and not named:
        names = ', '.join(file.name for file in files)
        raise InputError(
            f'{folder} holds several weights files, name one as pretrained: {names}',
            code='clip.several_files',
        )
    by_name = sorted(named or files, key=lambda f: (f.stem not in STEMS[:2], f.suffix == '.bin'))
    return by_name[0]


def load_strictly(
    model: nn.Module, state: dict[str, torch.Tensor], what: str, image_size: int | None = None
) -> None:
    """Load an open_clip state dict into a whole model, or into a holder of one of its towers.

    A holder is a module whose only child is ``visual`` or ``text``; entries of the other tower
    are left aside. ``what`` names file and model in errors. Position embeddings of another
    size are interpolated only where ``image_size`` is given. Raises InputError.
    """
    expected = model.state_dict()
    if not hasattr(model, 'positional_embedding'):
        state = convert_to_custom_text_state_dict(state)
    towers = [name for name, _ in model.named_children()]
    state = dict(state)
    if len(towers) == 1:
        first = ', '.join(list(state)[:3])
        state = {name: t for name, t in state.items() if name.startswith(f'{towers[0]}.')}
        if not state:
            kind = {'visual': 'image', 'text': 'text'}[towers[0]]
            raise InputError(
                f'{what}: the file holds no {kind} tower, only {first} …: give the file of a '
                'whole model',
                code='clip.missing_tower',
            )
    for name in ('logit_scale', 'logit_bias'):  # a scalar in some files, one element in others
        if name in state and name in expected and state[name].numel() == expected[name].numel():
            state[name] = state[name].reshape(expected[name].shape)
    if 'text.transformer.embeddings.position_ids' not in expected:  # written by old transformers
        state.pop('text.transformer.embeddings.position_ids', None)
    differ = _differences(state, expected)
    if list(differ) == [_POSITIONS] and _POSITIONS in state:
        if image_size is None:
            raise InputError(
                f'{what}: position embeddings {differ[_POSITIONS]} would have to be '
                'interpolated; name the model of that image size, or give image_size',
                code='clip.other_image_size',
            )
        resize_pos_embed(state, model)
    elif differ:
        first = ', '.join(f'{name} {shapes}' for name, shapes in list(differ.items())[:3])
        raise InputError(
            f'{what}: the weights are of another architecture; {len(differ)} tensors of '
            f'{len(expected)} differ, first {first}',
            code='clip.other_architecture',
        )
    model.load_state_dict(state)


def _differences(state: dict, expected: dict) -> dict[str, str]:
    theirs, ours = ({n: tuple(t.shape) for n, t in s.items()} for s in (state, expected))
    return {
        name: f'({theirs.get(name, "absent")} in the file, {ours.get(name, "absent")} in the model)'
        for name in [*ours, *(n for n in theirs if n not in ours)]
        if ours.get(name) != theirs.get(name)
    }


@functools.cache  # once a process: both towers are loaded from one file
def log_found(file: Path, found: str, used_with: str) -> None:
    """Say what a file of weights was, and how it is used."""
    print_log(f'{file}: {found}, used with {used_with}', logger='current', level=logging.INFO)
