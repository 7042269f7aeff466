"""Embeddings on disk: the same bits whatever was kept there before."""

import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from refused import refused

import mmpretrain_lmmreg
from mmpretrain_lmmreg.clip.text_tower import TextTower
from mmpretrain_lmmreg.io.table import StoredRows
from mmpretrain_lmmreg.text import embedding
from mmpretrain_lmmreg.text.embedding import (
    embed,
    embed_class_means,
    embed_together,
    embeddings_of,
)

TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)


@pytest.fixture(scope='module')
def texts():
    """Different lines of real replies, in no order."""
    file = Path(mmpretrain_lmmreg.__file__).parent / 'data' / 'bar_replies.jsonl'
    replies = [json.loads(line)['reply'] for line in file.read_text('utf-8').splitlines()[:40]]
    lines = list(dict.fromkeys(line for reply in replies for line in reply.splitlines() if line))
    random.Random(0).shuffle(lines)
    return lines


@pytest.fixture(scope='module')
def tower(tiny_clip):
    return TextTower(f'local-dir:{tiny_clip}')


def test_what_was_kept_before_changes_no_bit(texts, tower, monkeypatch, tmp_path):
    monkeypatch.setattr(embedding, 'CHUNK', 64)
    fresh = embed(texts, tower)
    assert any(not torch.equal(tower.encode(texts[:n]), fresh[:n]) for n in (3, 20, 50))
    monkeypatch.setenv('LMMREG_CACHE', str(tmp_path / 'other'))
    for part in (texts[:3], texts[3:50], texts[::2]):
        embed(part, tower)
    assert torch.equal(embed(texts, tower), fresh)
    order = random.Random(1).sample(range(len(texts)), len(texts))
    assert torch.equal(embed([texts[i] for i in order], tower), fresh[order])
    assert torch.equal(embed_together(texts, tower), fresh)


def test_a_damaged_chunk_is_embedded_again_to_the_same_bits(texts, tower, monkeypatch, tmp_path):
    monkeypatch.setattr(embedding, 'CHUNK', 64)
    fresh = embed(texts, tower)
    encoded = []
    original = TextTower.encode
    monkeypatch.setattr(TextTower, 'encode', lambda s, t: encoded.append(t) or original(s, t))
    chunk = max((tmp_path / 'cache' / 'text').glob('*/*.safetensors'))
    content = bytearray(chunk.read_bytes())
    content[-3] ^= 16
    chunk.write_bytes(content)
    assert torch.equal(embed(texts, tower), fresh)
    assert len(encoded) == 1 and len(encoded[0]) <= 64


def test_no_texts(tower):
    assert embed([], tower).shape == (0, 24)


def test_weights_that_are_damaged(tiny_clip):
    damaged = TextTower(f'local-dir:{tiny_clip}')
    damaged.tower.ln_final.bias.data[0] = torch.nan
    with refused('text.not_finite', match='a dog'):
        embed(['a dog'], damaged)


@settings(max_examples=20, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4, unique=True), st.lists(TEXTS, max_size=4))
def test_any_text_is_found_under_a_name_of_its_own(few, more):
    """Rows that stand for texts: whatever else was kept, each text gets its own."""
    rows = {}

    def encode(texts):
        for text in texts:
            rows.setdefault(text, torch.full((3,), float(len(rows))))
        return torch.stack([rows[text] for text in texts])

    made = SimpleNamespace(fingerprint='made', encode=encode, count_cut=lambda _: 0, dim=3)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv('LMMREG_CACHE', folder)
        patch.setattr(embedding, 'LONG', 5)
        patch.setattr(embedding, 'CHUNK', 2)
        for texts in (few, list(dict.fromkeys(few + more)), few[::-1]):
            assert torch.equal(embed(texts, made), encode(texts))


@pytest.mark.parametrize('normalize', [False, True])
def test_class_means_from_disk_are_those_from_memory(texts, tower, normalize, monkeypatch):
    counts = [Counter({i: 1 + i % 2 for i in range(c, len(texts), 3)}) for c in range(3)]
    means = embed_class_means(texts, counts, tower, normalize)
    monkeypatch.setattr('mmpretrain_lmmreg.io.table.IN_MEMORY', 0)
    monkeypatch.setattr(embedding, 'embed', lambda *_: pytest.fail('all are read at once'))
    assert isinstance(embeddings_of(texts, tower), StoredRows)
    assert torch.equal(embed_class_means(texts, counts, tower, normalize), means)
