"""WiSE-FT and L2-SP: classifiers that stay near what they start from."""

from pathlib import Path

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from mmpretrain_lmmreg.config import config_folder, load_config, method_file

BAR = config_folder() / 'lmmreg_bar.py'
TEXTS = torch.tensor([[2.0, 0.0], [0.0, 3.0]])


def open_clip_weights(model_name):
    """State dict of the small model's file."""
    return load_file(Path(model_name.removeprefix('local-dir:')) / 'open_clip_model.safetensors')


def wise_ft(**kwargs):
    head = MODELS.build(dict(type='WiSEFTHead', num_classes=2, in_channels=2, **kwargs))
    head.take_text_means(TEXTS)
    return head


def test_wise_ft_mixes_in_eval_only_by_hand():
    head, x = wise_ft(mix=0.25, logit_scale=10.0), (torch.tensor([[3.0, 4.0]]),)
    torch.testing.assert_close(head.train()(x), torch.tensor([[6.0, 8.0]]))  # starts zero-shot
    assert torch.equal(head.fc.weight, torch.tensor([[10.0, 0.0], [0.0, 10.0]]))  # with its scale
    head.fc.weight.data = torch.tensor([[0.0, 10.0], [10.0, 0.0]])
    head.fc.bias.data = torch.tensor([0.0, 4.0])
    torch.testing.assert_close(head.train()(x), torch.tensor([[8.0, 10.0]]))
    torch.testing.assert_close(head.eval()(x), torch.tensor([[6.5, 8.5]]))


@pytest.mark.parametrize('mix', [0, 1])
def test_wise_ft_at_its_ends(mix):
    head, x = wise_ft(mix=mix).eval(), torch.randn(4, 2)
    head.fc.weight.data = torch.randn(2, 2)
    weight = head.fc.weight if mix else 100 * normalize(TEXTS, dim=1)
    torch.testing.assert_close(head((x,)), normalize(x, dim=1) @ weight.T)


def test_wise_ft_trains_from_the_texts(tiny_config, train):
    cfg = load_config(method_file('wise_ft'), BAR)
    assert cfg.train_cfg.max_epochs == 100
    tiny_config.train_cfg.type = cfg.train_cfg.type
    tiny_config.model.backbone.trainable = cfg.model.backbone.trainable
    tiny_config.model.head = dict(cfg.model.head, num_classes=3, in_channels=24)
    head = train(tiny_config).model.head
    moved = (head.fc.weight - 100 * head.text_weights).abs()
    assert 0 < moved.max() < 12 * 1e-4  # Adam's six steps of 1e-4 from the start


def test_l2_sp_by_hand_and_its_effect(tiny_config, train):
    model = dict(load_config(method_file('l2_sp'), BAR).model)
    assert model['l2_sp'] == 0.1
    tiny_config.model.update(type=model['type'])
    tiny_config.model.head.alpha = 0
    tiny_config.optim_wrapper.optimizer.lr = 1e-2
    moved = {}
    for strength in (0.0, 100.0):
        runner = train(tiny_config, **{'model.l2_sp': strength})
        pretrained = runner.model.start_visual_proj.clone()
        moved[strength] = (runner.model.backbone.visual.proj - pretrained).detach()
    assert moved[100.0].square().sum() < 0.5 * moved[0.0].square().sum()
    runner.model.l2_sp = 3.0
    samples = [DataSample().set_gt_label(0)]
    losses = runner.model.loss(torch.randn(1, runner.model.backbone.trunk_dim), samples)
    new = sum(p.detach().square().sum() for p in runner.model.head.fc.parameters())
    expected = 1.5 * moved[100.0].square().sum() + 0.005 * new
    torch.testing.assert_close(losses['loss_sp'].detach(), expected)
    runner.model.backbone.init_weights()
    assert torch.equal(runner.model.backbone.visual.proj, pretrained)


def test_l2_sp_holds_to_the_pretrained_weights_not_to_random_ones(tiny_config, tmp_path, train):
    state = MODELS.build(tiny_config.model.backbone).visual.state_dict()
    full = open_clip_weights(tiny_config.model.backbone.model_name)
    full['visual.proj'] = torch.full_like(state['proj'], 0.25)
    save_file(full, tmp_path / 'pretrained.safetensors')
    tiny_config.model.update(type='L2SPClassifier')
    tiny_config.model.backbone.pretrained = str(tmp_path / 'pretrained.safetensors')
    tiny_config.model.head.alpha = 0
    model = train(tiny_config).model
    assert torch.equal(model.start_visual_proj, full['visual.proj'])


def test_l2_sp_holds_to_the_same_start_on_resume(tiny_config, train):
    tiny_config.model.update(type='L2SPClassifier')
    tiny_config.model.head.alpha = 0
    first = train(tiny_config).model.start_visual_proj
    resumed = train(tiny_config, resume=True, **{'train_cfg.max_epochs': 3}).model
    assert torch.equal(resumed.start_visual_proj, first)
    assert not torch.equal(resumed.backbone.visual.proj, first)
