"""Saved models that several tests of the towers use."""

import json
from functools import cache

import pytest
from safetensors.torch import save_file

from mmpretrain_lmmreg.clip.model import build_open_clip

TIMM = dict(timm_model_name='efficientnet_lite0', timm_model_pretrained=False, image_size=64)
TEXT = dict(context_length=16, vocab_size=64, width=16, heads=2, layers=1)


@pytest.fixture(scope='session')
def folder_of(tmp_path_factory):
    """A function: settings of a timm tower -> the name of a saved model with it, D = 8."""

    @cache
    def make(**vision):
        folder = tmp_path_factory.mktemp('model')
        config = dict(embed_dim=8, vision_cfg={**TIMM, **vision}, text_cfg=TEXT, custom_text=True)
        (folder / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=config)))
        name = f'local-dir:{folder}'
        save_file(build_open_clip(name).state_dict(), folder / 'open_clip_model.safetensors')
        return name

    return make
