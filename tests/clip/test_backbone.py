import json
import shutil

import open_clip
import pytest
import torch
from mmpretrain.registry import MODELS
from open_clip.transformer import QuickGELU
from refused import refused

from mmpretrain_lmmreg.clip import backbone as module
from mmpretrain_lmmreg.clip.model import load_open_clip
from mmpretrain_lmmreg.clip.visual_tower import InPlaceQuickGELU


def build(model_name, **kwargs):
    return MODELS.build(dict(type='OpenCLIPVisual', model_name=str(model_name), **kwargs))


@pytest.fixture(scope='module')
def timm_tower(folder_of):
    return folder_of(timm_pool='avg', timm_proj='linear', timm_drop=0.5)


@pytest.fixture
def vit(tiny_clip):
    return f'local-dir:{tiny_clip}'


def trainable(module):
    return {name for name, p in module.named_parameters() if p.requires_grad}


TOWERS = [
    dict(timm_pool='avg', timm_proj='linear'),
    dict(timm_pool='avg', timm_proj='mlp'),
    dict(timm_pool='avg', timm_proj=None),  # the trunk's own classifier projects
    dict(
        timm_model_name='vit_tiny_patch16_224',
        timm_pool='token',
        timm_proj='linear',
        image_size=224,
    ),
    dict(timm_model_name='fastvit_t8', timm_pool='avg', timm_proj=None),
    dict(timm_model_name='convnext_atto', timm_pool='', timm_proj='linear'),
    dict(timm_model_name='resnet18', timm_pool='rot_attn', timm_proj='linear'),
]


@pytest.mark.parametrize('vision', TOWERS, ids=lambda v: '-'.join(map(str, v.values())))
def test_equals_open_clip_on_every_kind_of_tower(folder_of, vision):
    name = folder_of(**vision)
    backbone = build(name).eval()
    backbone.init_weights()
    images = torch.randn(2, 3, vision.get('image_size', 64), vision.get('image_size', 64))
    with torch.no_grad():
        expected = load_open_clip(name).encode_image(images)
        features = backbone.forward_trunk(images)
        assert features.shape == (2, backbone.trunk_dim)
        assert expected.shape == (2, backbone.embed_dim)
        for inputs in (images, features):
            (x,) = backbone(inputs)
            torch.testing.assert_close(x, expected, rtol=1e-6, atol=1e-6)


def test_equals_open_clip_on_a_vit(vit):
    backbone = build(vit)
    backbone.init_weights()
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(backbone(images)[0], load_open_clip(vit).encode_image(images))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_quick_gelu_equals_open_clips_and_keeps_what_a_gradient_needs(dtype):
    torch.manual_seed(0)
    values = torch.randn(1000, dtype=dtype) * 10
    theirs, ours = (values.clone().requires_grad_() for _ in range(2))
    expected, found = QuickGELU()(theirs), InPlaceQuickGELU()(ours)
    assert torch.equal(found, expected) and torch.equal(ours, values)
    for y in (expected, found):
        y.float().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    frozen = values.clone()
    found = InPlaceQuickGELU()(frozen)
    assert torch.equal(found, expected) and found.data_ptr() == frozen.data_ptr()


def test_weights_are_loaded_by_init_weights_only(vit, tiny_clip):
    first, second = build(vit), build(vit)
    assert not torch.equal(first.visual.proj, second.visual.proj)
    first.init_weights()
    second.init_weights()
    assert torch.equal(first.visual.proj, second.visual.proj)
    missing = build(vit, pretrained=str(tiny_clip / 'nowhere.safetensors'))  # no error yet
    with refused('clip.missing_file', match='nowhere.safetensors'):
        missing.init_weights()


def test_what_trains_in_a_vit(vit):
    assert trainable(build(vit, trainable='none')) == set()
    assert trainable(build(vit)) == {'visual.proj'}
    names = trainable(build(vit, trainable='last_block'))
    assert {'visual.proj', 'visual.ln_post.weight'} < names
    assert {n.split('.')[3] for n in names if 'resblocks' in n} == {'1'}
    everything = build(vit, trainable='all')
    assert trainable(everything) == {n for n, _ in everything.named_parameters()}


def test_last_block_of_a_timm_tower(timm_tower):
    names = trainable(build(timm_tower, trainable='last_block'))
    assert 'visual.head.proj.weight' in names
    assert any('conv_head' in n for n in names)
    assert {n.split('.')[3] for n in names if '.blocks.' in n} == {'6'}


def test_frozen_modules_stay_in_eval_mode(timm_tower):
    backbone = build(timm_tower).train()
    assert backbone.training
    norms = [m for m in backbone.modules() if 'Norm' in type(m).__name__]
    assert norms and not any(m.training for m in norms)
    assert backbone.visual.head.drop.training  # part of the projection, which trains
    assert not backbone.eval().visual.head.drop.training
    assert backbone.train().visual.head.drop.training
    before = {n: b.clone() for n, b in backbone.named_buffers()}
    backbone(torch.randn(4, 3, 64, 64))
    assert all(torch.equal(b, before[n]) for n, b in backbone.named_buffers())
    assert not build(timm_tower, trainable='none').train().visual.head.drop.training
    tuned = build(timm_tower, trainable='last_block').train()
    assert tuned.visual.trunk.bn2.training and not tuned.visual.trunk.bn1.training


def test_trunk_takes_no_autograd_memory_and_no_optimizer_state(vit):
    backbone = build(vit).train()
    features = backbone.forward_trunk(torch.randn(2, 3, 32, 32))
    assert features.grad_fn is None
    optimizer = torch.optim.Adam(backbone.parameters())
    backbone.project(features).sum().backward()
    optimizer.step()
    assert [id(p) for p in optimizer.state] == [id(backbone.visual.proj)]


def test_images_of_another_size_are_refused(vit):
    with refused('clip.other_image_size', match='32x48'):
        build(vit).forward_trunk(torch.zeros(1, 3, 32, 48))


def test_a_full_gpu_halves_what_runs_at_a_time(vit, monkeypatch):
    backbone = build(vit)
    images = torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        expected = backbone.forward_trunk(images)
    trunk, sizes = backbone.tower.trunk, []

    def small(part):
        sizes.append(len(part))
        if len(part) > limit:
            raise torch.cuda.OutOfMemoryError('full')
        return trunk(part)

    monkeypatch.setattr(backbone.tower, 'trunk', small)
    limit = 2
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(backbone.forward_trunk(images), expected)
    assert sizes == [8, 4, *4 * [2], *4 * [2]]  # what was found is kept
    limit = 0
    with pytest.raises(torch.cuda.OutOfMemoryError):
        backbone.forward_trunk(images)


def test_bfloat16_trunk(vit):
    exact, fast = build(vit), build(vit, precision='bfloat16')
    for backbone in (exact, fast):
        backbone.init_weights()
    images = torch.randn(4, 3, 32, 32)
    assert fast.visual.proj.dtype == torch.float32
    assert fast.visual.conv1.weight.dtype == torch.bfloat16
    with torch.no_grad():
        a, b = exact.forward_trunk(images), fast.forward_trunk(images)
    assert b.dtype == torch.float32
    assert torch.cosine_similarity(a, b).min() > 0.999
    assert not torch.equal(a, b)


def test_fingerprint_changes_with_what_changes_the_features(vit):
    base = build(vit)
    base.init_weights()
    same = build(vit)
    same.init_weights()
    assert base.trunk_fingerprint() == same.trunk_fingerprint()
    assert base.start_fingerprint() == same.start_fingerprint()
    same.visual.proj.data += 1  # behind the trunk
    assert base.start_fingerprint() != same.start_fingerprint()
    assert base.trunk_fingerprint() == same.trunk_fingerprint()
    assert build(vit, precision='bfloat16').trunk_fingerprint() != base.trunk_fingerprint()
    with torch.no_grad():
        same.visual.conv1.weight[0, 0, 0, 0] += 1e-6
    assert base.trunk_fingerprint() != same.trunk_fingerprint()
    changed = {name: value + 1 for name, value in base.visual.state_dict().items()}
    same.visual.load_state_dict(changed)
    before = same.trunk_fingerprint()
    same.init_weights()
    assert before != same.trunk_fingerprint() == base.trunk_fingerprint()


def test_fingerprint_changes_with_the_configuration_of_a_folder(tiny_clip, tmp_path):
    folder = shutil.copytree(tiny_clip, tmp_path / 'model')
    before = build(f'local-dir:{folder}')
    file = folder / 'open_clip_config.json'
    config = json.loads(file.read_text())
    config['model_cfg']['quick_gelu'] = not config['model_cfg'].get('quick_gelu', False)
    file.write_text(json.dumps(config))
    after = build(f'local-dir:{folder}')
    after.visual.load_state_dict(before.visual.state_dict())
    assert before.trunk_fingerprint() != after.trunk_fingerprint()


def test_the_trunk_is_hashed_once(vit, monkeypatch):
    backbone, hashed = build(vit), []
    monkeypatch.setattr(module, 'digest_tensors', lambda tensors: hashed.append(1) or 'name')
    for _ in range(3):
        backbone.trunk_fingerprint()
    assert len(hashed) == 1


@pytest.mark.parametrize(
    ('kwargs', 'code'),
    [
        (dict(trainable='head'), 'config.unknown_value'),
        (dict(precision='fp8'), 'config.unknown_value'),
        (dict(output='tokens'), 'config.unknown_value'),
        (dict(output='trunk'), 'clip.bad_setting'),
        (dict(precision='bfloat16', trainable='all'), 'clip.bad_setting'),
    ],
)
def test_bad_arguments(vit, kwargs, code):
    with refused(code):
        build(vit, **kwargs)


@pytest.mark.parametrize('name', ['RN50', 'coca_ViT-B-32'])
def test_refused_towers(name):
    with refused('clip.unsupported_tower', match=name):
        build(name)


def test_tower_without_projection_points_to_last_block(folder_of):
    name = folder_of(timm_model_name='vit_tiny_patch16_224', timm_pool='', timm_proj='none')
    with refused('clip.no_projection', match="trainable='last_block'"):
        build(name)
    assert build(name, trainable='last_block').embed_dim == 192


@pytest.mark.slow
def test_vit_l14_equals_open_clip():
    torch.manual_seed(0)
    backbone = build('ViT-L-14-quickgelu')
    model = open_clip.create_model('ViT-L-14-quickgelu', pretrained=None)
    model.visual.load_state_dict(backbone.visual.state_dict())
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        (x,) = backbone.eval()(images)
        expected = model.eval().encode_image(images)
    assert ((x - expected).norm(dim=1) / expected.norm(dim=1)).max() <= 1e-6
