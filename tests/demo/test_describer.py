"""The describer errs at the rates that its docstring gives."""

import re
from random import Random

import pytest

from dev.demo_captions import write_captions
from mmpretrain_lmmreg.demo.describer import describe
from mmpretrain_lmmreg.demo.render import scenes
from mmpretrain_lmmreg.descriptions.parse import parse_reply
from mmpretrain_lmmreg.descriptions.store import DescriptionStore

NAMES = {
    'climbing': r'\bclimb',
    'diving': r'\bdiv(e|es|er|ers|ing|ed)\b|\bdove\b',
    'fishing': r'fish',
    'pole vaulting': r'vault',
    'racing': r'\brac(e|es|er|ers|ing|ed|ecar|etrack)\b',
    'throwing': r'throw|threw',
}
SHOWN = [scene for _, _, scene in scenes()]


@pytest.fixture(scope='module')
def described():
    return [(s, describe(s, Random(f'{i} {r}'))) for i, s in enumerate(SHOWN) for r in range(4)]


def named(action, texts):
    return [bool(re.search(NAMES[action], text, re.IGNORECASE)) for text in texts]


def test_ten_different_sentences_that_say_whether_they_name_the_action(described):
    for scene, sentences in described:
        texts = [s.text for s in sentences]
        assert len(set(texts)) == 10 and '{' not in ''.join(texts)
        assert named(scene.action, texts) == [s.names_action for s in sentences]


def test_rates_of_naming_and_of_wrong_details(described):
    naming = [[s.names_action for s in sentences] for _, sentences in described]
    total = len(naming)
    assert sum(not any(n) for n in naming) / total == pytest.approx(0.085, abs=0.015)
    assert sum(n[0] for n in naming) / total == pytest.approx(0.804, abs=0.025)
    assert sum(map(sum, naming)) / total / 10 == pytest.approx(0.199, abs=0.01)
    wrong = sum(s.wrong for _, sentences in described for s in sentences)
    assert wrong / total / 10 == pytest.approx(0.02, abs=0.003)


def test_naming_rates_are_those_of_the_real_replies(shared):
    replies = list(DescriptionStore(shared / 'data/bar/replies.jsonl'))
    naming = [
        named(re.fullmatch(r'\w+/(.*)_\d+\.jpg', r['image'])[1], r['descriptions']) for r in replies
    ]
    assert len(naming) == 480
    assert sum(not any(n) for n in naming) / 480 == pytest.approx(0.085, abs=0.001)
    assert sum(n[0] for n in naming) / 480 == pytest.approx(0.804, abs=0.001)
    assert [sum(sum(n) == k for n in naming) for k in range(1, 7)] == [147, 147, 91, 35, 13, 6]


def test_a_wrong_sentence_differs_from_every_right_one():
    sentences = [s for i in range(400) for s in describe(SHOWN[0], Random(i))]
    right = {s.text for s in sentences if not s.wrong}
    wrong = {s.text for s in sentences if s.wrong}
    assert wrong and not right & wrong


def test_records_are_ordinary_ones(drawn):
    store = DescriptionStore(drawn / 'descriptions.jsonl')
    assert store.prompts == ['Give 10 semantic descriptions for the image']
    for record in store:
        parsed = parse_reply(record['reply'])
        assert (parsed.descriptions, parsed.status) == (record['descriptions'], 'ok')
        assert record['model'] == 'scripted describer'
    assert len(store) == 792


def test_pretraining_captions_are_not_the_describers_sentences(described):
    sentences = {s.text for _, group in described for s in group}
    captions = {t for i, s in enumerate(SHOWN) for t in write_captions(s, Random(i))}
    assert not sentences & captions
