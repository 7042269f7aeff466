"""CLIP-A-self: the class means of the sentences at ratio 0, attention by hand beyond."""

import json

import pytest
import torch
from mmpretrain.registry import MODELS
from torch.nn.functional import layer_norm, normalize

from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.heads.clip_a_self import SentenceAttention
from mmpretrain_lmmreg.hooks.run_folder import load_run

SENTENCES = {
    'red': ['Tomatoes.', 'Blood.', 'A brick.'],
    'green': ['Grass.'],
    'blue': ['Sky.', 'Sea.'],
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'sentences.json'
    path.write_text(json.dumps(SENTENCES))
    return str(path)


def test_ratio_0_is_zero_shot_by_sentences(config_of, train, file):
    options = {'model.head.ratio': 0, 'model.head.sentences': file, 'train_cfg.max_epochs': 1}
    cfg = config_of('clip_a_self', **options)
    head, tower = train(cfg).model.head, TextTower(cfg.model.backbone.model_name)
    means = [tower.encode(SENTENCES[name]).mean(0) for name in ('blue', 'green', 'red')]
    x = torch.randn(5, 24)
    expected = 100 * normalize(x, dim=1) @ normalize(torch.stack(means), dim=1).T
    for mode in (True, False):
        torch.testing.assert_close(head.train(mode)((x,)), expected, rtol=1e-5, atol=1e-5)


def test_ratio_0_of_descriptions_is_the_method_zero_shot_descriptions(config_of, train):
    options = {'model.head.ratio': 0, 'train_cfg.max_epochs': 1}
    head = train(config_of('clip_a_self', **options)).model.head
    zero_shot = train(config_of('zero_shot_descriptions')).model.head
    weights = normalize(head.text_weights, dim=1)
    torch.testing.assert_close(weights, zero_shot.text_weights, rtol=1e-5, atol=1e-5)


def test_layer_norm_of_the_authors_code(config_of, train, file):
    options = {'model.head.sentences': file, 'model.head.ratio': 0, 'model.head.layer_norm': True}
    cfg = config_of('clip_a_self', **options, **{'optim_wrapper.optimizer.lr': 0.0})
    head, tower = train(cfg).model.head, TextTower(cfg.model.backbone.model_name)
    embedded = [tower.encode(SENTENCES[name]) for name in ('blue', 'green', 'red')]
    expected = [layer_norm(2 * each, [24]).mean(0) for each in embedded]
    torch.testing.assert_close(head.text_weights, torch.stack(expected), rtol=1e-4, atol=1e-5)
    assert {'norm.weight', 'norm.bias'} < set(head.state_dict())


def test_attention_against_loops():
    torch.manual_seed(0)
    attention, x = SentenceAttention(8).eval(), torch.randn(2, 3, 8)
    there = torch.tensor([[True, True, True], [True, True, False]])
    found = attention(x, there)
    query, key = attention.query_key(x).chunk(2, dim=-1)
    for c, count in enumerate((3, 2)):
        for s in range(count):
            scores = torch.stack([query[c, s] @ key[c, k] / 2**0.5 for k in range(count)])
            mixed = scores.softmax(0) @ attention.value(x[c, :count])
            torch.testing.assert_close(found[c, s], attention.out(mixed))


def test_padding_counts_for_nothing(config_of, train, file):
    head = train(config_of('clip_a_self', **{'model.head.sentences': file})).model.head.eval()
    assert head.there.sum(1).tolist() == [2, 1, 3]
    before = head.class_weights()
    head.embeddings[~head.there] = 100.0
    torch.testing.assert_close(head.class_weights(), before)


def test_trains_the_attention_only(config_of, train):
    runner = train(config_of('clip_a_self'))
    head, run = runner.model.head, load_run(runner.work_dir)
    attention = 3 * 24 * 6 + 6 * 24 + 24
    assert run['trained_parameters'] == attention
    assert len(runner.optim_wrapper.optimizer.state) == 4
    assert 'embeddings' not in head.state_dict()
    torch.testing.assert_close(head.text_weights, head.eval().class_weights())


def test_checkpoints_without_the_number_of_steps_load():
    head = MODELS.build(dict(type='CLIPASelfHead', num_classes=3, in_channels=24))
    state = head.state_dict()
    del state['steps']
    head.load_state_dict(state)
