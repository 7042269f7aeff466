"""CoCoOp: CoOp with a meta-net that says nothing, each image its own context with one that does."""

import torch
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from refused import refused

from mmpretrain_lmmreg.hooks.run_folder import load_run
from mmpretrain_lmmreg.text import prompt_learning
from mmpretrain_lmmreg.text.prompt_learning import PromptTower

WIDTH = {'model.head.width': 16}
STILL = {**WIDTH, 'optim_wrapper.optimizer.lr': 0.0}


def quiet(head):
    for parameter in head.meta_net.parameters():
        parameter.data.zero_()
    return head


def test_zero_meta_net_is_coop(config_of, train):
    words = {'model.head.words': 'a photo of a', 'model.head.length': 4}
    coop = train(config_of('coop', **STILL, **words)).model.head
    head = quiet(train(config_of('cocoop', **STILL)).model.head)
    x = (torch.randn(5, 24),)
    for mode in (True, False):
        torch.testing.assert_close(head.train(mode)(x), coop.train(mode)(x), rtol=1e-5, atol=1e-5)


def test_each_image_has_its_own_context(config_of, train):
    head = train(config_of('cocoop', **STILL)).model.head.eval()
    for parameter in head.meta_net.parameters():
        parameter.data.normal_()
    x = torch.randn(3, 24)
    logits, unit = head((x,)), torch.nn.functional.normalize(x, dim=1)
    for i in range(3):
        shifted = head.context + head.meta_net(unit[i])
        weights = torch.nn.functional.normalize(head.prompts.embed(shifted[None])[0], dim=1)
        torch.testing.assert_close(logits[i], 100 * weights @ unit[i], rtol=1e-4, atol=1e-4)
    other = quiet(head)((x,))
    assert (other - logits).abs().max() > 1e-3


def test_trains_context_and_meta_net_in_parts_of_bounded_size(config_of, train, monkeypatch):
    monkeypatch.setattr(prompt_learning, 'TOKENS_AT_ONCE', 12)
    embed, sizes = PromptTower._embed, []
    monkeypatch.setattr(
        PromptTower,
        '_embed',
        lambda self, part, context: (sizes.append(part.tokens.numel()), embed(self, part, context))[
            1
        ],
    )
    cfg = config_of('cocoop', **WIDTH)
    assert cfg.train_dataloader.batch_size == 8
    runner = train(cfg)
    assert max(sizes) <= 12
    assert len(runner.model.head.prompts.parts) > 1
    trained = {id(p) for p in runner.optim_wrapper.optimizer.state}
    head = runner.model.head
    assert trained == {id(p) for p in (head.context, *head.meta_net.parameters())}
    count = 4 * 16 + 24 * 1 + 1 + 16 + 16
    assert load_run(runner.work_dir)['trained_parameters'] == count


def test_another_text_tower_than_in_training(config_of, train, monkeypatch):
    cfg = config_of('cocoop', **WIDTH)
    runner = train(cfg)
    cfg.load_from = f'{runner.work_dir}/epoch_2.pth'
    tester = Runner.from_cfg(cfg)
    embed = PromptTower.embed
    monkeypatch.setattr(PromptTower, 'embed', lambda self, c: embed(self, c).flip(1))
    with refused('heads.other_text_tower'):
        tester.test()


def test_use_without_the_hook():
    head = MODELS.build(dict(type='CoCoOpHead', num_classes=3, in_channels=24))
    with refused('heads.not_set_up'):
        head.eval()((torch.randn(2, 24),))
