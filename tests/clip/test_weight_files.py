"""What people have as CLIP weights loads, or is refused with the right reason."""

import argparse
import json

import numpy as np
import open_clip
import pytest
import torch
from refused import refused
from safetensors.torch import save_file

from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.clip.model import load_open_clip, load_text, load_visual, tokenizer_for
from mmpretrain_lmmreg.clip.weight_files import open_weights

CONFIG = dict(
    embed_dim=64,
    vision_cfg=dict(image_size=32, layers=2, width=64, patch_size=16, head_width=32),
    text_cfg=dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=1),
)


def add_folder(path, **options):
    path.mkdir()
    config = dict(model_cfg={**CONFIG, **options}, preprocess_cfg={})
    (path / 'open_clip_config.json').write_text(json.dumps(config))
    return f'local-dir:{path}'


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return open_clip.CLIP(**CONFIG).eval()


@pytest.fixture
def name(tmp_path):
    return add_folder(tmp_path / 'model')


def prefixed(prefix, state):
    return {prefix + key: tensor for key, tensor in state.items()}


def other(state):
    return {key: tensor + 1 for key, tensor in state.items()}


FORMS = {
    'plain': lambda s: s,
    'half': lambda s: {k: t.half() for k, t in s.items()},
    'ddp': lambda s: dict(epoch=3, name='run', state_dict=prefixed('module.', s), optimizer={}),
    'compiled': lambda s: prefixed('_orig_mod.', s),
    'ddp of compiled': lambda s: dict(state_dict=prefixed('module._orig_mod.', s)),
    'compiled ddp': lambda s: dict(state_dict=prefixed('_orig_mod.module.', s)),
    'compiled tower': lambda s: {
        k.replace('visual.', 'visual._orig_mod.'): t for k, t in s.items()
    },
    'fsdp': lambda s: prefixed('_fsdp_wrapped_module.', s),
    'model_state_dict': lambda s: dict(
        model_state_dict=s, optimizer_state_dict={}, loss=s['ln_final.bias']
    ),
    'model': lambda s: dict(model=s, epoch=1),
    'lightning': lambda s: {
        'state_dict': prefixed('model.', s) | {'loss.weight': torch.ones(3)},
        'hyper_parameters': dict(lr=1e-4),
    },
    'options beside': lambda s: dict(
        state_dict=s, args=argparse.Namespace(lr=1), best_acc1=np.float64(1)
    ),
    'nested': lambda s: dict(checkpoint=dict(clip=prefixed('backbone.clip.', s))),
    'average beside': lambda s: dict(state_dict=other(s), state_dict_ema=s),
    'average within': lambda s: dict(
        state_dict=prefixed('model.', other(s)) | prefixed('ema_model.', s)
    ),
    'averaged': lambda s: prefixed('module.', s) | dict(n_averaged=torch.tensor(4)),
    'other roots': lambda s: {
        'logit_scale': s['logit_scale'],
        **{
            k.replace('visual', 'vision_model') if k.startswith('visual.') else f'text_model.{k}': t
            for k, t in s.items()
        },
    },
}


@pytest.mark.parametrize('form', FORMS)
def test_each_form_of_the_same_weights_loads(model, name, tmp_path, form):
    file = tmp_path / 'file.pt'
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    torch.save(FORMS[form](state), file)
    loaded = [load_visual(name, file).state_dict(), load_text(name, file).state_dict()]
    expected = {k: t.half().float() for k, t in state.items()} if form == 'half' else state
    for tower, prefix in zip(loaded, ('visual.', ''), strict=True):
        same = (torch.equal(t, expected[prefix + k]) for k, t in tower.items() if k != 'attn_mask')
        assert all(same)
    if form != 'other roots':
        assert load_open_clip(name, file).state_dict().keys() == model.state_dict().keys()


def test_what_was_found_is_said(model, tmp_path):
    state = prefixed('module.', {k: t.half() for k, t in model.state_dict().items()})
    torch.save(dict(state_dict=state), tmp_path / 'file.pt')
    found = open_weights(tmp_path / 'file.pt').found
    assert (
        found
        == "'state_dict' of a training checkpoint, without the prefix 'module.', half precision"
    )


@pytest.fixture(scope='module', params=['quick_gelu', 'gelu'])
def hugging_face(request, tmp_path_factory):
    """A folder of a random CLIPModel of that activation, and the model."""
    from transformers import CLIPConfig, CLIPModel

    sizes = dict(
        hidden_size=64, intermediate_size=256, num_attention_heads=2, hidden_act=request.param
    )
    config = CLIPConfig(
        vision_config=dict(
            sizes, projection_dim=64, image_size=32, patch_size=16, num_hidden_layers=2
        ),
        text_config=dict(sizes, num_hidden_layers=1, vocab_size=49408),
        projection_dim=64,
    )
    torch.manual_seed(0)
    model = CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))  # biases are zero, norms one
    folder = tmp_path_factory.mktemp('hf')
    model.save_pretrained(folder)
    return folder, model, request.param == 'quick_gelu'


def test_a_clip_of_transformers_is_converted(hugging_face, tmp_path):
    folder, theirs, quick_gelu = hugging_face
    name = add_folder(tmp_path / 'model', quick_gelu=quick_gelu)
    images, tokens = torch.randn(3, 3, 32, 32), tokenizer_for(name)(['a dog', 'two red cats', ''])
    file = tmp_path / 'pytorch_model.bin'
    torch.save(theirs.state_dict(), file)
    with torch.no_grad():
        for weights in (folder, folder / 'model.safetensors', file):
            ours = load_open_clip(name, weights)
            image, text = ours.encode_image(images), ours.encode_text(tokens)
            torch.testing.assert_close(
                image, theirs.get_image_features(images), atol=1e-5, rtol=1e-5
            )
            mask = (tokens != 0).long()
            expected = theirs.get_text_features(tokens, attention_mask=mask)
            torch.testing.assert_close(text, expected, atol=1e-5, rtol=1e-5)
            assert ours.logit_scale == theirs.logit_scale
            torch.testing.assert_close(load_visual(name, weights)(images), image)
    other_name = add_folder(tmp_path / 'other', quick_gelu=not quick_gelu)
    with refused('clip.other_activation'):
        load_visual(other_name, folder)


def test_one_tower_of_transformers_is_converted(hugging_face, tmp_path):
    from transformers import CLIPVisionModelWithProjection

    folder, theirs, quick_gelu = hugging_face
    name = add_folder(tmp_path / 'model', quick_gelu=quick_gelu)
    tower = CLIPVisionModelWithProjection.from_pretrained(folder)
    tower.save_pretrained(tmp_path / 'tower')
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = theirs.get_image_features(images)
        torch.testing.assert_close(load_visual(name, tmp_path / 'tower')(images), expected)
    with refused('clip.missing_tower', match='no text tower'):
        load_text(name, tmp_path / 'tower')


def test_more_positions_of_a_text_tower_are_read(model, name, tmp_path):
    state = dict(model.state_dict(), positional_embedding=torch.randn(248, 64))
    torch.save(state, tmp_path / 'long.pt')
    assert TextTower(name, tmp_path / 'long.pt').tokenizer(['a']).shape == (1, 248)
    load_open_clip(name, tmp_path / 'long.pt')


@pytest.mark.parametrize(
    ('listed', 'trunk'),
    [('ViT-B-16-SigLIP', 'vit_tiny_patch16_224'), ('MobileCLIP-S1', 'fastvit_t8')],
)
def test_other_families_load_as_open_clip_writes_them(listed, trunk, tmp_path):
    config = open_clip.get_model_config(listed)
    config['vision_cfg']['timm_model_name'] = trunk
    config['text_cfg'].update(width=64, heads=2, layers=1, vocab_size=500)
    config['text_cfg'].pop('hf_tokenizer_name', None)
    name = add_folder(tmp_path / 'model', **config)
    theirs = open_clip.create_model(name, load_weights=False)
    torch.save(dict(state_dict=prefixed('module.', theirs.state_dict())), tmp_path / 'file.pt')
    ours = load_open_clip(name, tmp_path / 'file.pt').state_dict()
    assert all(torch.equal(t, ours[key]) for key, t in theirs.state_dict().items())
    load_visual(name, tmp_path / 'file.pt')
    load_text(name, tmp_path / 'file.pt')


REFUSED = {
    'module': ('clip.code_in_file', lambda model: model),
    'several': (
        'clip.several_models',
        lambda model: dict(student=model.state_dict(), teacher=model.state_dict()),
    ),
    'a timm tower': ('clip.no_clip', lambda model: {'blocks.0.norm1.weight': torch.ones(3)}),
    'numbers': ('clip.no_clip', lambda model: [1, 2]),
    'nothing': ('clip.no_clip', lambda model: {}),
    'only text': (
        'clip.missing_tower',
        lambda model: {'token_embedding.weight': torch.ones(9, 64), 'transformer.x': torch.ones(3)},
    ),
    'wider': (
        'clip.other_architecture',
        lambda model: open_clip.CLIP(**dict(CONFIG, embed_dim=32)).state_dict(),
    ),
    'siglip': ('clip.not_converted', lambda model: {'vision_model.head.probe': torch.ones(3)}),
}


class Marker:
    """An object of a class that is not torch's."""


@pytest.mark.parametrize('form', REFUSED)
def test_what_cannot_be_loaded_is_refused_with_the_reason(model, name, tmp_path, form):
    code, make = REFUSED[form]
    torch.save(make(model), tmp_path / 'file.pt')
    with refused(code, match='file.pt'):
        load_visual(name, tmp_path / 'file.pt')


@pytest.mark.parametrize('content', [b'', b'text', b'version https://git-lfs.github.com/spec/v1\n'])
@pytest.mark.parametrize('suffix', ['.pt', '.safetensors'])
def test_a_file_without_tensors_is_refused(name, tmp_path, content, suffix):
    file = tmp_path / f'file{suffix}'
    file.write_bytes(content)
    with refused('clip.unreadable', match='LFS' if b'lfs' in content else 'cannot be read'):
        load_visual(name, file)


def test_a_file_that_is_cut_short(model, name, tmp_path):
    torch.save(model.state_dict(), tmp_path / 'file.pt')
    (tmp_path / 'file.pt').write_bytes((tmp_path / 'file.pt').read_bytes()[:2000])
    with refused('clip.unreadable', match='file.pt cannot be read'):
        load_visual(name, tmp_path / 'file.pt')


def test_the_class_in_a_pickle_is_named(name, tmp_path):
    torch.save(dict(state_dict={}, x=Marker()), tmp_path / 'file.pt')
    with refused('clip.code_in_file', match='test_weight_files.Marker'):
        load_visual(name, tmp_path / 'file.pt')


def test_a_tensor_in_safetensors_is_found_below_a_prefix(model, name, tmp_path):
    state = prefixed('model.', {k: t.contiguous() for k, t in model.state_dict().items()})
    for file in (tmp_path / 'file.safetensors', tmp_path / 'called otherwise.bin'):
        save_file(state, file)
        loaded = load_visual(name, file)
        assert torch.equal(loaded.conv1.weight, model.visual.conv1.weight)
