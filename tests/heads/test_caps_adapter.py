"""CapS-Adapter against loops, and a run on the pictures."""

import math

import pytest
import torch
from mmpretrain.registry import MODELS
from torch.nn.functional import normalize


@pytest.fixture
def data():
    """Embeddings, labels, captions (the last has none) and texts."""
    torch.manual_seed(0)
    captions = torch.randn(5, 4)
    captions[4] = 0
    return torch.randn(5, 4), torch.tensor([0, 1, 2, 2, 0]), captions, torch.randn(3, 4)


def build(data, type_='CapSAdapterHead', **kwargs):
    x, labels, captions, texts = data
    head = MODELS.build(dict(type=type_, num_classes=3, in_channels=4, **kwargs))
    head.take_text_means(texts)
    head.fit(x, labels)
    if type_ == 'CapSAdapterHead':
        head.take_captions(captions)
    return head


def test_without_captions_and_divergence_it_is_tip_adapter(data):
    query = (torch.randn(6, 4),)
    caps, tip = build(data, delta=0.0, gamma=0.0), build(data, 'TipAdapterHead')
    torch.testing.assert_close(caps(query), tip(query))


def test_against_loops(data):
    x, labels, captions, texts = data
    keys, t = normalize(x, dim=1), normalize(texts, dim=1)
    said = normalize(torch.cat([captions[:4], x[4:]]), dim=1)
    query = torch.randn(3, 4)
    f = normalize(query, dim=1)

    def a(u, i):
        return (0.7 * u @ keys[i] + 0.3 * u @ said[i]).item()

    def k(u, i):
        p, q = ((each @ t.T / 0.5).softmax(0) for each in (u, keys[i]))
        return (p * (p / q).log()).sum().item()

    pairs = [(a(keys[i], j), k(keys[i], j)) for i in range(5) for j in range(5)]
    low, high = (end(pair[0] for pair in pairs) for end in (min, max))
    farthest = max(pair[1] for pair in pairs)  # the nearest is the image itself, at 0
    expected = 100 * f @ t.T
    for n in range(3):
        for i, label in enumerate(labels):
            scaled = low + k(f[n], i) / farthest * (high - low)
            expected[n, label] += 1.5 * math.exp(-2 * (1 - a(f[n], i))) - 0.2 * scaled
    found = build(data, alpha=1.5, beta=2.0, gamma=0.2, delta=0.3)((query,))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_captions_are_those_of_the_images(config_of, train):
    head = train(config_of('caps_adapter', **{'train_cfg.max_epochs': 1})).model.head
    assert head.captions.shape == head.keys.shape == (24, 24)
    assert (head.captions - head.keys).norm(dim=1).min() > 0.1
