"""m2-mix by hand, and a run on the pictures."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from mmpretrain_lmmreg.heads.m2_mix import geodesic_mix, m2_mix_loss


def test_mixtures_lie_on_the_great_circle():
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    for share in (0.0, 0.25, 1.0):
        expected = [math.sin(share * math.pi / 2), math.cos(share * math.pi / 2)]
        torch.testing.assert_close(geodesic_mix(a, b, share), torch.tensor([expected]))
    assert geodesic_mix(a, a, 0.3).isfinite().all()
    mixed = geodesic_mix(*(normalize(torch.randn(5, 7), dim=1) for _ in range(2)), 0.4)
    torch.testing.assert_close(mixed.norm(dim=1), torch.ones(5))


def test_loss_against_loops():
    torch.manual_seed(0)
    x, texts, labels = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, 0, 2])
    a, b = normalize(x, dim=1), normalize(texts, dim=1)
    mixed, expected = geodesic_mix(a, b, 0.3), 0.0
    for side in (a, b):
        for i in range(4):
            own = math.exp(a[i] @ b[i] / 0.5)
            others = sum(
                math.exp(side[i] @ mixed[j] / 0.5) for j in range(4) if labels[j] != labels[i]
            )
            expected -= math.log(own / (own + others)) / 4
    assert m2_mix_loss(x, texts, labels, 0.3, 0.5).item() == pytest.approx(expected, rel=1e-5)


def test_trains_the_projection_otherwise(config_of, train, tmp_path):
    straight = train(config_of('m2_mix', **{'train_cfg.max_epochs': 3}))
    assert straight.model.head.class_means.any()
    plain = train(
        config_of('finetune', work_dir=str(tmp_path / 'plain'), **{'train_cfg.max_epochs': 3})
    )
    weights = [run.model.backbone.visual.proj for run in (straight, plain)]
    assert 0 < (weights[0] - weights[1]).abs().max() < 0.01
