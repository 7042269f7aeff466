"""ZS-LP and CLAP: numbers by hand, and runs on the pictures."""

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from refused import refused
from torch.nn.functional import cross_entropy, normalize

from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.heads.clap import class_multipliers

TEXTS = torch.tensor([[3.0, 0.0], [0.0, 2.0]])


def build(type_, **kwargs):
    head = MODELS.build(dict(type=type_, num_classes=2, in_channels=2, **kwargs))
    head.take_text_means(TEXTS)
    return head


@pytest.mark.parametrize('type_', ['ZSLPHead', 'CLAPHead'])
def test_before_a_step_it_is_zero_shot(type_):
    x = (torch.randn(5, 2),)
    torch.testing.assert_close(build(type_)(x), build('ZeroShotHead')(x))


def test_only_directions_of_prototypes_count():
    head, x = build('ZSLPHead', logit_scale=10.0), (torch.tensor([[6.0, 8.0]]),)
    assert torch.equal(head.prototypes, TEXTS)  # of their own length
    head.prototypes.data = torch.tensor([[0.0, 0.5], [4.0, 3.0]])
    torch.testing.assert_close(head(x), torch.tensor([[8.0, 9.6]]))


def test_multipliers_are_the_mean_probability_of_the_own_class():
    probabilities = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.4, 0.6]])
    found = class_multipliers(probabilities.log(), torch.tensor([0, 1, 0, 1]), 2)
    torch.testing.assert_close(found, torch.tensor([0.7, 0.7]))
    found = class_multipliers(probabilities.log(), torch.tensor([0, 0, 0, 1]), 2)
    torch.testing.assert_close(found, torch.tensor([1.6 / 3, 0.6]))
    with refused('heads.class_without_images'):
        class_multipliers(probabilities.log(), torch.zeros(4, dtype=torch.long), 2)


def test_the_constraint_by_hand():
    head, x = build('CLAPHead', logit_scale=1.0), torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    labels = torch.tensor([0, 1])
    head.fit(x, labels)
    expected = normalize(x, dim=1).softmax(1).diagonal()
    torch.testing.assert_close(head.multipliers, expected)
    head.prototypes.data = TEXTS + torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    samples = [DataSample().set_gt_label(label) for label in labels]
    losses = head.loss((x,), samples)
    torch.testing.assert_close(losses['loss'], cross_entropy(head((x,)), labels))
    expected = (head.multipliers[0] * 1 + head.multipliers[1] * 4) / 2
    torch.testing.assert_close(losses['loss_clap'], expected)


@pytest.mark.parametrize('method', ['zs_lp', 'clap'])
def test_trains_from_the_prompts(method, config_of, train):
    runner = train(config_of(method))
    head, tower = runner.model.head, TextTower(runner.model.backbone.model_name)
    template = head.templates or runner.cfg.templates
    names = runner.train_dataloader.dataset.source.metainfo['classes']
    start = tower.encode([template[0].format(name) for name in names])
    moved = (head.prototypes - start).norm(dim=1) / start.norm(dim=1)
    assert 1e-3 < moved.max() < 1


def test_clap_stays_nearer_than_zs_lp(config_of, train):
    options = {'train_cfg.max_epochs': 30, 'model.head.logit_scale': 20.0}
    far, near = (train(config_of(m, **options)).model.head for m in ('zs_lp', 'clap'))
    distances = [(head.prototypes - near.anchors).norm(dim=1).max().item() for head in (far, near)]
    assert 0 < distances[1] < distances[0]
