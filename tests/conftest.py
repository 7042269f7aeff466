"""Fixtures that several rooms' tests use."""

import gc
import json
import os
import signal
from pathlib import Path

# The models are tiny, and several tests may run at once; read when torch is imported.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import pytest

import mmpretrain_lmmreg.register  # noqa: F401  first, since it lets torchvision be imported

# A shell starts jobs in the background with Ctrl-C ignored, which children of tests would inherit
signal.signal(signal.SIGINT, signal.default_int_handler)

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'

TINY_CLIP = dict(
    embed_dim=24,
    vision_cfg=dict(image_size=32, layers=2, width=32, head_width=16, patch_size=8),
    text_cfg=dict(context_length=77, vocab_size=49408, width=16, heads=2, layers=2),
)


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder ``shared`` beside the checkout: real images and replies, not part of the project."""
    folder = Path(__file__).resolve().parents[2] / 'shared'
    if not folder.is_dir():
        pytest.skip(f'the real data are not at {folder}')
    return folder


def pytest_collection_finish():
    """mmengine collects garbage with each data set: spare it what was imported and collected."""
    gc.freeze()


@pytest.fixture(scope='module', autouse=True)
def frozen():
    """The same of what a module leaves, such as matplotlib's figures of each run."""
    yield
    gc.collect()
    gc.freeze()


def pytest_configure():
    """Let yapf write its cache before there are workers: they would read it half-written."""
    from yapf.yapflib import yapf_api  # noqa: F401


@pytest.fixture(autouse=True)
def plain_dumps(monkeypatch):
    """mmengine formats each config with yapf, which takes most of a short run's time."""
    from yapf.yapflib import yapf_api

    monkeypatch.setattr(yapf_api, 'FormatCode', lambda text, **_: (text, True))


@pytest.fixture(scope='session', autouse=True)
def mmpretrains_registries():
    """A test that builds from a config without a Runner needs no other test before it."""
    from mmengine.registry import init_default_scope

    init_default_scope('mmpretrain')


@pytest.fixture(autouse=True)
def new_instances():
    """mmengine names a run's log by the second: the next test's must not be one of this test's."""
    yield
    from mmengine.logging import MessageHub, MMLogger
    from mmengine.visualization import Visualizer

    for kind in (MMLogger, MessageHub, Visualizer):
        kind._instance_dict.clear()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Tests never read or write the user's caches."""
    monkeypatch.setenv('LMMREG_CACHE', str(tmp_path / 'cache'))


def _save_random_clip(folder: Path, config: dict) -> Path:
    import torch
    from safetensors.torch import save_file

    from mmpretrain_lmmreg.clip.model import build_open_clip

    (folder / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=config)))
    torch.manual_seed(0)
    model = build_open_clip(f'local-dir:{folder}')
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()},
        folder / 'open_clip_model.safetensors',
    )
    return folder


@pytest.fixture(scope='session')
def tiny_clip(tmp_path_factory) -> Path:
    """Folder of a small open_clip model with random weights: ViT, D_trunk = 32, D = 24."""
    return _save_random_clip(tmp_path_factory.mktemp('tiny-clip'), TINY_CLIP)


@pytest.fixture(scope='session')
def batch_norm_clip(tmp_path_factory) -> Path:
    """The same with a timm tower full of BatchNorm, D_trunk = 1280, D = 24."""
    vision = dict(
        timm_model_name='tf_efficientnet_lite0',
        timm_model_pretrained=False,
        timm_pool='avg',
        timm_proj='linear',
        image_size=32,
    )
    return _save_random_clip(
        tmp_path_factory.mktemp('batch-norm-clip'),
        dict(TINY_CLIP, vision_cfg=vision, custom_text=True),
    )


@pytest.fixture
def tiny_timm(tmp_path):
    """timm's name of a folder with a tiny ViT of 16 pixels, D_trunk = 12, and the model."""
    import timm
    import torch
    from safetensors.torch import save_file

    sizes = dict(img_size=16, patch_size=8, embed_dim=12, depth=1, num_heads=2)
    torch.manual_seed(0)
    model = timm.create_model('vit_tiny_patch16_224', num_classes=0, **sizes)
    folder = tmp_path / 'tiny-timm'
    folder.mkdir()
    save_file(model.state_dict(), folder / 'model.safetensors')
    about = dict(input_size=[3, 16, 16], mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.1], num_classes=0)
    config = dict(architecture='vit_tiny_patch16_224', model_args=sizes, pretrained_cfg=about)
    (folder / 'config.json').write_text(json.dumps(dict(config, num_classes=0)))
    return f'local-dir:{folder}', model.eval()


@pytest.fixture(scope='session')
def pictures(tmp_path_factory) -> Path:
    """Data root of three classes of coloured noise, 8 train and 4 test images each, described."""
    import numpy as np
    from PIL import Image

    root, rng, lines = tmp_path_factory.mktemp('pictures'), np.random.default_rng(0), []
    for split, count in (('train', 8), ('test', 4)):
        for channel, name in enumerate(('red', 'green', 'blue')):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 120, (40, 48, 3), dtype=np.uint8)
                pixels[..., channel] += 110
                Image.fromarray(pixels).save(root / split / name / f'{i}.png')
                lines.append(
                    dict(
                        image=f'{split}/{name}/{i}.png',
                        prompt='describe',
                        reply=f'1. A {name} picture.\n2. Noise number {i} in {name}.',
                    )
                )
    (root / 'descriptions.jsonl').write_text('\n'.join(map(json.dumps, lines)) + '\n')
    return root


@pytest.fixture
def tiny_config(tiny_clip, pictures, tmp_path):
    """Config of a run on ``pictures`` with ``tiny_clip``: the real schedule, batches of 8."""
    from mmengine.config import Config

    cfg = Config.fromfile(CONFIGS / 'lmmreg_bar.py')
    cfg.merge_from_dict(
        {
            'work_dir': str(tmp_path / 'work'),
            'train_cfg.max_epochs': 2,
            'log_level': 'WARNING',
            'model.backbone.model_name': f'local-dir:{tiny_clip}',
            'model.backbone.pretrained': None,
            'model.head.num_classes': 3,
            'model.head.in_channels': 24,
        }
    )
    for name, split in (('train', 'train'), ('val', 'test'), ('test', 'test')):
        loader = cfg[f'{name}_dataloader']
        loader.update(batch_size=8, num_workers=0)
        loader.dataset.update(type='CustomDataset', data_root=str(pictures), data_prefix=split)
        loader.dataset.pop('split')
        for transform in loader.dataset.pipeline:
            if transform['type'] == 'ResizeEdge':
                transform['scale'] = 32
            elif transform['type'] == 'CenterCrop':
                transform['crop_size'] = 32
            elif transform['type'] == 'AttachDescriptions':
                transform['data_root'] = str(pictures)
    return cfg


@pytest.fixture(scope='session')
def drawn(tmp_path_factory):
    """Folder of the demo's data set."""
    from mmpretrain_lmmreg.demo import render

    folder = tmp_path_factory.mktemp('demo') / 'data'
    render.render_into(folder)
    return folder
