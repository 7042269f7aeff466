"""What open_clip calls a model, and how it describes it."""

import difflib
from pathlib import Path

import open_clip
from open_clip.transform import PreprocessCfg, merge_preprocess_dict

from ..demo import CLIP_FOLDER
from ..errors import InputError, MissingInputError
from ..io.files import check_fields, parse_json
from . import lite0_minilm

LOCAL_DIR = 'local-dir:'
DEMO = 'demo-clip'


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
            f"the model '{LOCAL_DIR}FOLDER'",
            code='clip.would_download',
        )
    else:
        config = open_clip.get_model_config(open_clip_name(model_name))
    if config is None:
        raise InputError(
            f'open_clip knows no model {model_name!r}{_closest_names(model_name)}',
            code='clip.unknown_model',
        )
    if 'multimodal_cfg' in config:
        raise InputError(
            f'{model_name!r} is a CoCa model, which is not supported', code='clip.unsupported_tower'
        )
    return config


def embed_dim(model_name: str) -> int:
    """Return D, the dimension of the space that both towers share."""
    return model_config(model_name)['embed_dim']


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


def require_weights(model_name: str, pretrained: str | Path | None) -> None:
    """Raise InputError where neither a tag or file nor a folder gives a model its weights."""
    if pretrained is None and not has_weights(model_name):
        raise InputError(
            f'{model_name!r}: no weights are named; give pretrained=TAG or FILE',
            code='clip.no_weights_named',
        )


def model_folder(model_name: str) -> Path:
    """The folder of a model that is one."""
    return Path(open_clip_name(model_name).removeprefix(LOCAL_DIR))


def _folder_config(model_name: str) -> dict:
    folder = model_folder(model_name)
    file = folder / 'open_clip_config.json'
    if not file.is_file():
        raise MissingInputError(
            f"{file} does not exist: '{LOCAL_DIR}FOLDER' needs a folder that holds "
            'open_clip_config.json beside the weights',
            code='clip.missing_file',
        )
    config = parse_json(file.read_bytes(), file)
    check_fields(
        config, {'model_cfg': {'embed_dim': int, 'vision_cfg': dict, 'text_cfg': dict}}, file
    )
    text = config['model_cfg']['text_cfg']
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
