"""A timm trunk for the feature table: its numbers, its fingerprint, what cannot be had."""

import pytest
import torch
from refused import refused
from safetensors.torch import save_file

from mmpretrain_lmmreg.clip.timm_trunk import TimmTrunk


def test_features_are_timms_own(tiny_timm):
    name, model = tiny_timm
    tower = TimmTrunk(name, to_rgb=True)
    bgr = torch.randint(256, (2, 3, 16, 16))
    images = tower.data_preprocessor(dict(inputs=bgr), training=False)['inputs']
    rgb = (bgr.flip(1) / 255 - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / torch.tensor(
        [0.2, 0.2, 0.1]
    )[:, None, None]
    found = tower.forward_trunk(images)
    torch.testing.assert_close(found, model(rgb), rtol=1e-4, atol=1e-4)
    assert found.shape == (2, tower.trunk_dim) == (2, 12)
    larger = torch.nn.functional.interpolate(images, 48, mode='nearest')
    assert tower.forward_trunk(larger).shape == (2, 12)


def test_other_weights_are_another_table(tiny_timm):
    name, model = tiny_timm
    before = TimmTrunk(name, to_rgb=True).trunk_fingerprint()
    assert before == TimmTrunk(name, to_rgb=True).trunk_fingerprint()
    model.norm.bias.data += 1
    save_file(model.state_dict(), f'{name.removeprefix("local-dir:")}/model.safetensors')
    assert before != TimmTrunk(name, to_rgb=True).trunk_fingerprint()


@pytest.mark.parametrize('name', ['vit_no_such', 'local-dir:/nowhere'])
def test_what_timm_cannot_get(name):
    with refused('clip.no_timm_model', match=name):
        TimmTrunk(name, to_rgb=True)
