"""trainable='svd': only the singular values of the projection train."""

import pytest
import torch
from mmpretrain.registry import MODELS


@pytest.fixture(params=['vit', 'timm'])
def name(request, tiny_clip, folder_of):
    return (
        f'local-dir:{tiny_clip}'
        if request.param == 'vit'
        else folder_of(timm_pool='avg', timm_proj='linear')
    )


def build(name, trainable):
    backbone = MODELS.build(dict(type='OpenCLIPVisual', model_name=name, trainable=trainable))
    backbone.init_weights()
    return backbone


def scale(backbone):
    """Change all singular values, as training does."""
    for part in backbone.svd.values():
        values = part.singular_values.data
        values *= torch.linspace(0.5, 2, values.shape[-1])


def test_at_the_start_it_is_the_pretrained_tower(name):
    plain, svd = build(name, 'proj'), build(name, 'svd')
    features = torch.randn(4, plain.trunk_dim)
    torch.testing.assert_close(svd.project(features), plain.eval().project(features))
    trained = [p.numel() for p in svd.parameters() if p.requires_grad]
    assert trained == [min(plain.trunk_dim, plain.embed_dim)]
    assert svd.trunk_is_frozen
    assert svd.trunk_fingerprint() == plain.trunk_fingerprint()  # so they share the feature table


def test_all_matrices_at_the_start_are_the_pretrained_tower(name):
    plain, svd = build(name, 'none'), build(name, 'svd_all')
    images = torch.randn(3, 3, *plain.visual.image_size)
    with torch.no_grad():
        expected = plain(images)[0]
    for mode in (True, False):
        found = svd.train(mode)(images)[0]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        with torch.no_grad():  # where attention takes its fast path
            torch.testing.assert_close(svd(images)[0], expected, rtol=1e-5, atol=1e-5)
    assert not svd.trunk_is_frozen and not plain.visual.training


def test_all_matrices_of_a_transformer(tiny_clip):
    svd = build(f'local-dir:{tiny_clip}', 'svd_all')
    trained = {n: tuple(p.shape) for n, p in svd.named_parameters() if p.requires_grad}
    assert sum(p.numel() for p in svd.parameters() if p.requires_grad) == 2 * 6 * 32 + 24
    values = 'svd.transformer/resblocks/1/'
    assert trained[f'{values}attn/in_proj_weight.singular_values'] == (3, 32)
    assert {n.removeprefix(values) for n in trained if n.startswith(values)} == {
        f'{part}.singular_values'
        for part in ('attn/in_proj_weight', 'attn/out_proj/weight', 'mlp/c_fc/weight')
        + ('mlp/c_proj/weight',)
    }
    svd(torch.randn(2, 3, 32, 32))[0].square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in svd.parameters() if p.requires_grad)


@pytest.mark.parametrize('trainable', ['svd', 'svd_all'])
def test_what_trained_is_in_the_exported_state(name, trainable):
    svd, plain = build(name, trainable), build(name, 'none')
    scale(svd)
    plain.visual.load_state_dict(svd.visual_state())
    images = torch.randn(2, 3, *plain.visual.image_size)
    with torch.no_grad():
        expected = svd(images)[0]
        torch.testing.assert_close(plain(images)[0], expected, rtol=1e-4, atol=1e-5)
        other = build(name, trainable)
        assert not torch.allclose(other(images)[0], expected, rtol=1e-2)
        other.load_state_dict(svd.state_dict())
        assert torch.equal(other(images)[0], expected)


def test_gradient_is_along_the_singular_vectors(name):
    svd = build(name, 'svd')
    features, (part,) = torch.randn(3, svd.trunk_dim), svd.svd.values()
    before = part.matrix().detach()
    svd.project(features).square().sum().backward()
    part.singular_values.data -= 0.1 * part.singular_values.grad
    turned = part.left.T @ (part.matrix().detach() - before) @ part.right.T
    assert turned.diagonal().abs().max() > 1e-4
    assert (turned - turned.diagonal().diag()).abs().max() < 1e-5 * turned.abs().max() + 1e-6


def test_both_matrices_of_an_mlp(folder_of):
    name = folder_of(timm_pool='avg', timm_proj='mlp')
    plain, svd = build(name, 'proj'), build(name, 'svd')
    assert len(svd.svd) == 2
    features = torch.randn(4, plain.trunk_dim)
    torch.testing.assert_close(svd.project(features), plain.eval().project(features))
