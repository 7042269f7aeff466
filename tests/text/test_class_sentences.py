"""Where the sentences about a class come from."""

import json
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from refused import refused

from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.errors import MissingInputError
from mmpretrain_lmmreg.heads.learned_text import sentences_of
from mmpretrain_lmmreg.text.class_sentences import without_names
from mmpretrain_lmmreg.text.embedding import embed_lists


def _inputs(classes: tuple[str, ...]) -> SimpleNamespace:
    return SimpleNamespace(classes=classes, shifted=list)


INPUTS = _inputs(('HandstandPushups', 'YoYo'))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'sentences.json'
    content = {'Yo_Yo': ['b', 'a', 'b'], 'handstand pushUps': ['c'], 'Diving': ['d']}
    path.write_text(json.dumps(content))
    return path


def test_of_a_file_whatever_the_spelling(file):
    assert sentences_of(INPUTS, str(file)) == [['c'], ['b', 'a', 'b']]


def test_of_ucf101(shared):
    from mmpretrain_lmmreg.datasets.ucf101 import UCF101_CLASSES

    inputs = _inputs(UCF101_CLASSES)
    sentences = sentences_of(inputs, str(shared / 'data' / 'ucf101' / 'class_sentences.json'))
    assert len(sentences) == 101 and {len(own) for own in sentences} == {20}
    assert sentences[0][0] == 'The person is using an eyeliner to define their eyes.'


def test_a_class_that_is_not_in_the_file(file):
    inputs = _inputs(('YoYo', 'Rafting', 'Rowing'))
    with refused('text.class_without_sentences'):
        sentences_of(inputs, str(file))


def test_names_that_differ_in_punctuation_alone(tmp_path):
    path = tmp_path / 'x.json'
    path.write_text(json.dumps({'C#': ['a hash'], 'C++': ['two plus signs']}))
    assert sentences_of(_inputs(('C++', 'C#')), str(path))[0] == ['two plus signs']
    with refused('text.same_letters'):
        sentences_of(_inputs(('C#', 'C')), str(path))


@pytest.mark.parametrize('content', ['[1]', '{"a": "b"}', '{"a": [1]}', '{'])
def test_a_file_of_another_form(content, tmp_path):
    path = tmp_path / 'x.json'
    path.write_text(content)
    with refused('io.damaged_json' if content == '{' else 'text.sentences_form'):
        sentences_of(INPUTS, str(path))


def test_no_file(tmp_path):
    with refused('text.no_sentences_file', MissingInputError):
        sentences_of(INPUTS, str(tmp_path / 'none.json'))


def test_each_text_is_embedded_once(tiny_clip, monkeypatch):
    tower, seen = TextTower(f'local-dir:{tiny_clip}'), []
    encode = tower.encode
    monkeypatch.setattr(tower, 'encode', lambda texts: seen.extend(texts) or encode(texts))
    sentences = [['a', 'both'], ['both', 'c', 'd', 'c']]
    embeddings = embed_lists(sentences, tower)
    embed_lists(sentences, tower)
    assert sorted(seen) == ['a', 'both', 'c', 'd']
    for own, found in zip(sentences, embeddings, strict=True):
        torch.testing.assert_close(found, encode(own), rtol=1e-5, atol=1e-6)


def test_names_are_cut_out_of_their_own_class_only():
    texts = ['A pole vaulter, climbing.', 'Poles.', 'Climbing a wall', 'A wall']
    counts = [Counter({0: 2, 1: 1, 3: 1}), Counter({0: 1, 2: 3, 3: 2})]
    cut, each = without_names(texts, counts, ['Pole Vaulting', 'climbing'])
    words = [{cut[i]: n for i, n in counter.items()} for counter in each]
    assert words == [
        {'A , climbing.': 2, 'A wall': 1},  # nothing is left of 'Poles.'
        {'A pole vaulter, .': 1, 'a wall': 3, 'A wall': 2},
    ]


def test_names_that_are_cut_out_are_words():
    texts = ['Parade, protest', 'A sweater on a swing', 'A sum']
    counts = [Counter({0: 1}), Counter({1: 1}), Counter({2: 1})]
    cut, _ = without_names(texts, counts, ['parade/protest', 'swing', '+'])
    assert cut == ['A sweater on a', 'A sum']
