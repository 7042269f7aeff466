"""A model and a config of a person's own images, small enough to train in seconds."""

import json
from pathlib import Path

MODEL = dict(
    embed_dim=16,
    quick_gelu=True,
    vision_cfg=dict(image_size=224, layers=2, width=32, head_width=16, patch_size=56),
    text_cfg=dict(context_length=77, vocab_size=49408, width=16, heads=2, layers=1),
)

CONFIG = """\
_base_ = '{{$LMMREG_CONFIGS:configs}}/lmmreg_bar.py'
root = 'ROOT'
model = dict(
    backbone=dict(model_name='local-dir:{{ fileDirname }}/model', pretrained=None),
    head=dict(num_classes=3, in_channels=16))
train_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(
    _delete_=True, type='CustomDataset', data_root=root, data_prefix='train', pipeline=[
        *_base_.pixels, dict(type='AttachDescriptions', data_root=root), dict(type='PackInputs')]))
val_dataloader = dict(num_workers=0, dataset=dict(
    _delete_=True, type='CustomDataset', data_root=root, data_prefix='test',
    pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=2)
"""


def write_project(folder: Path, images: Path) -> Path:
    """Write a model and a child config for the folder of ``images``; return the config's path."""
    write_model(folder / 'model')
    config = folder / 'tiny.py'
    config.write_text(CONFIG.replace('ROOT', str(images)))
    return config


def write_model(folder: Path) -> None:
    """An open_clip model in a folder, with seeded random weights."""
    import torch
    from safetensors.torch import save_file

    from mmpretrain_lmmreg.clip.model import build_open_clip

    folder.mkdir(parents=True)
    (folder / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=MODEL)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_open_clip(f'local-dir:{folder}')
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / 'open_clip_model.safetensors')
