"""trainable='svd': only the singular values of the projection train."""

import json

import pytest
import torch
from mmpretrain.registry import MODELS
from safetensors.torch import save_file

from mmpretrain_lmmreg.clip.model import build_open_clip
from mmpretrain_lmmreg.errors import InputError

TEXT = dict(context_length=16, vocab_size=64, width=16, heads=2, layers=1)


@pytest.fixture
def folder_of(tmp_path):
    """A function: projection of a timm tower -> its model's name."""

    def make(projection):
        vision = dict(
            timm_model_name='efficientnet_lite0',
            timm_model_pretrained=False,
            timm_pool='avg',
            timm_proj=projection,
            image_size=64,
        )
        config = dict(embed_dim=8, vision_cfg=vision, text_cfg=TEXT, custom_text=True)
        (tmp_path / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=config)))
        name = f'local-dir:{tmp_path}'
        save_file(build_open_clip(name).state_dict(), tmp_path / 'open_clip_model.safetensors')
        return name

    return make


@pytest.fixture(params=['vit', 'timm'])
def name(request, tiny_clip, folder_of):
    return f'local-dir:{tiny_clip}' if request.param == 'vit' else folder_of('linear')


def build(name, trainable):
    backbone = MODELS.build(dict(type='OpenCLIPVisual', model_name=name, trainable=trainable))
    backbone.init_weights()
    return backbone


def test_at_the_start_it_is_the_pretrained_tower(name):
    plain, svd = build(name, 'proj'), build(name, 'svd')
    features = torch.randn(4, plain.trunk_dim)
    torch.testing.assert_close(svd.project(features), plain.eval().project(features))
    trained = {n: p.numel() for n, p in svd.named_parameters() if p.requires_grad}
    assert trained == {'svd.singular_values': min(plain.trunk_dim, plain.embed_dim)}
    assert svd.trunk_is_frozen
    assert svd.trunk_fingerprint() == plain.trunk_fingerprint()  # so they share the feature table


def test_what_trained_is_in_the_exported_state(name):
    svd, plain = build(name, 'svd'), build(name, 'proj')
    svd.svd.singular_values.data *= torch.linspace(0.5, 2, len(svd.svd.singular_values))
    plain.visual.load_state_dict(svd.visual_state())
    features = torch.randn(4, plain.trunk_dim)
    torch.testing.assert_close(svd.project(features), plain.eval().project(features))
    other = build(name, 'svd')
    assert not torch.allclose(other.project(features), svd.project(features))
    other.load_state_dict(svd.state_dict())
    assert torch.equal(other.project(features), svd.project(features))


def test_gradient_is_along_the_singular_vectors(name):
    svd = build(name, 'svd')
    features = torch.randn(3, svd.trunk_dim)
    before = svd.svd.matrix().detach()
    svd.project(features).square().sum().backward()
    svd.svd.singular_values.data -= 0.1 * svd.svd.singular_values.grad
    turned = svd.svd.left.T @ (svd.svd.matrix().detach() - before) @ svd.svd.right.T
    assert turned.diagonal().abs().max() > 1e-4
    assert (turned - turned.diagonal().diag()).abs().max() < 1e-5 * turned.abs().max() + 1e-6


def test_two_matrices_are_refused(folder_of):
    with pytest.raises(InputError, match="no projection that is one matrix, so trainable='svd'"):
        build(folder_of('mlp'), 'svd')
