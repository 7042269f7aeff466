"""The tiny CLIP that ships: an ordinary open_clip model that knows the six actions."""

import json
import shutil

import open_clip
import pytest
import torch
from mmpretrain.registry import MODELS
from PIL import Image
from refused import refused
from safetensors import safe_open

from mmpretrain_lmmreg.clip.model import load_open_clip, load_visual, tokenizer_for
from mmpretrain_lmmreg.demo import CLIP_FOLDER
from mmpretrain_lmmreg.demo.actions import CLASSES

WEIGHTS = CLIP_FOLDER / 'open_clip_model.safetensors'
FLOOR = 0.8  # of zero-shot accuracy on the test set, where chance is 1/6


@torch.no_grad()
def zero_shot(model, preprocess, tokenizer, root):
    lines = [json.loads(line) for line in (root / 'scenes.jsonl').open()]
    test = [line for line in lines if line['image'].startswith('test/')]
    images = torch.stack([preprocess(Image.open(root / line['image'])) for line in test])
    texts = tokenizer([f'a photo of a person {name}.' for name in CLASSES])
    x = model.encode_image(images, normalize=True)
    scores = x @ model.encode_text(texts, normalize=True).T
    labels = torch.tensor([CLASSES.index(line['action']) for line in test])
    return (scores.argmax(1) == labels).float().mean().item()


def test_open_clip_alone_loads_it_and_it_is_far_above_chance(drawn):
    name = f'local-dir:{CLIP_FOLDER}'
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    tokenizer = open_clip.get_tokenizer(name)
    accuracy = zero_shot(model.eval(), preprocess, tokenizer, drawn)
    assert FLOOR < accuracy < 0.95


@pytest.mark.parametrize('tag', [None, 'demo'])
def test_by_name_it_is_the_same_model(tag):
    by_folder = load_open_clip(f'local-dir:{CLIP_FOLDER}')
    by_name = load_open_clip('demo-clip', tag)
    other = by_name.state_dict()
    assert all(torch.equal(t, other[name]) for name, t in by_folder.state_dict().items())
    assert by_name.visual.preprocess_cfg == by_folder.visual.preprocess_cfg
    assert tokenizer_for('demo-clip')('a diver').shape == (1, 32)


def test_weights_are_float16_and_small():
    assert WEIGHTS.stat().st_size < 8e6
    with safe_open(WEIGHTS, 'pt') as file:
        kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    counters = {name for name in kinds if name.endswith('num_batches_tracked')}
    assert {kind for name, kind in kinds.items() if name not in counters} == {'F16'}


@torch.no_grad()
def test_the_backbone_takes_it(drawn):
    backbone = MODELS.build(dict(type='OpenCLIPVisual', model_name='demo-clip'))
    backbone.init_weights()
    images = torch.randn(2, 3, 64, 64)
    model = load_open_clip('demo-clip')
    torch.testing.assert_close(backbone.eval()(images)[0], model.encode_image(images))


@torch.no_grad()
def test_images_and_texts_are_about_equally_long(drawn):
    model, _, preprocess = open_clip.create_model_and_transforms(f'local-dir:{CLIP_FOLDER}')
    files = sorted(drawn.glob('test/*/0*-0.png'))
    images = torch.stack([preprocess(Image.open(file)) for file in files])
    lines = (drawn / 'descriptions.jsonl').open()
    texts = tokenizer_for('demo-clip')(json.loads(next(lines))['descriptions'])
    x, t = model.eval().encode_image(images), model.encode_text(texts)
    assert t.norm(dim=1).mean() / x.norm(dim=1).mean() == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize(('word', 'known'), [('climbing', True), ('parliament', False)])
def test_tokens_that_no_caption_had_are_zero(word, known):
    model = load_open_clip('demo-clip')
    token = tokenizer_for('demo-clip')(word)[0, 1]
    assert bool(model.token_embedding.weight[token].abs().sum() > 0) is known


def test_weights_that_are_not_those_of_the_checksum_are_refused(tmp_path):
    folder = tmp_path / 'clip'
    shutil.copytree(CLIP_FOLDER, folder)
    load_visual(f'local-dir:{folder}')
    weights = folder / WEIGHTS.name
    content = bytearray(weights.read_bytes())
    content[-1] ^= 64
    weights.write_bytes(content)
    with refused('clip.damaged', match=str(weights)):
        load_visual(f'local-dir:{folder}')
