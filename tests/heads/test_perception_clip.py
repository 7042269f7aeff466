"""PerceptionCLIP against loops, and a run on the pictures."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch.nn.functional import normalize

from mmpretrain_lmmreg.clip import TextTower

ATTRIBUTES = [['', ', outdoors'], ['', ', near', ', afar']]


def build(**kwargs):
    kwargs = dict(num_classes=2, in_channels=4, attributes=ATTRIBUTES) | kwargs
    return MODELS.build(dict(type='PerceptionCLIPHead', logit_scale=3.0, **kwargs))


@pytest.mark.parametrize('class_free', [False, True])
def test_against_loops(class_free):
    torch.manual_seed(0)
    texts, x = torch.randn(2 + class_free, 6, 4), torch.randn(3, 4)
    head = build(class_free=class_free, temperature=2.0)
    head.take_texts(texts)
    unit, f = normalize(texts, dim=2), normalize(x, dim=1)
    for n, found in enumerate(head((x,)).exp()):
        score = [[(3 * f[n] @ unit[c, z]).item() for z in range(6)] for c in range(len(texts))]
        rows = [2] if class_free else [0, 1]
        context = [sum(math.exp(score[c][z] / 2) for c in rows) for z in range(6)]
        expected = [
            sum(
                context[z]
                / sum(context)
                * math.exp(score[c][z])
                / (math.exp(score[0][z]) + math.exp(score[1][z]))
                for z in range(6)
            )
            for c in range(2)
        ]
        assert found.tolist() == pytest.approx(expected, rel=1e-5)
        assert sum(expected) == pytest.approx(1)


def test_with_one_context_it_is_zero_shot():
    texts, x = torch.randn(2, 1, 4), torch.randn(3, 4)
    head = build(attributes=[['']])
    head.take_texts(texts)
    zero_shot = MODELS.build(
        dict(type='ZeroShotHead', num_classes=2, in_channels=4, logit_scale=3.0)
    )
    zero_shot.take_text_means(texts[:, 0])
    torch.testing.assert_close(head((x,)).exp(), zero_shot((x,)).softmax(1))


def test_each_class_in_each_context(config_of, train):
    options = {'train_cfg.max_epochs': 1, 'model.head.attributes': ATTRIBUTES}
    runner = train(config_of('perception_clip', **options))
    head, tower = runner.model.head, TextTower(runner.model.backbone.model_name)
    name = runner.train_dataloader.dataset.source.metainfo['classes'][1]
    text = runner.cfg.templates[0].format(name).rstrip('.') + ', outdoors, afar.'
    torch.testing.assert_close(
        head.context_weights[1, 5], F.normalize(tower.encode([text]), dim=1)[0]
    )
