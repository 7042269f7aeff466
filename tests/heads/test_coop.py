"""CoOp: equal to zero-shot where the context is written, and only the context trains."""

import math

import pytest
import torch
from mmengine.runner import Runner, load_checkpoint
from mmpretrain.registry import MODELS
from refused import refused

from mmpretrain_lmmreg.config import load_config, method_file
from mmpretrain_lmmreg.hooks.run_folder import load_run

ZERO_SHOT = {'model.head.words': 'a photo of a', 'model.head.length': 4}
WIDTH = {'model.head.width': 16}


def test_written_context_gives_the_zero_shot_logits(config_of, train):
    templates = {'model.head.templates': ['a photo of a {}.']}
    zero_shot = train(config_of('zero_shot', **templates)).model.eval()
    x, still = (torch.randn(5, 24),), {'optim_wrapper.optimizer.lr': 0.0, **ZERO_SHOT, **WIDTH}
    for specific in (False, True):
        model = train(config_of('coop', **still, **{'model.head.class_specific': specific})).model
        for mode in (True, False):
            torch.testing.assert_close(
                model.train(mode).head(x), zero_shot.head(x), rtol=1e-5, atol=1e-5
            )


@pytest.mark.parametrize(('specific', 'position'), [(False, 'end'), (True, 'middle')])
def test_trains_the_context_only(specific, position, config_of, train):
    options = {'model.head.class_specific': specific, 'model.head.position': position}
    runner = train(config_of('coop', **options, **WIDTH))
    head, run = runner.model.head, load_run(runner.work_dir)
    assert run['trained_parameters'] == 16 * 16 * (3 if specific else 1)
    (trained,) = runner.optim_wrapper.optimizer.state  # what ever had a gradient
    assert trained is head.context
    assert set(head.state_dict()) == {'context', 'text_weights'}
    torch.testing.assert_close(head.text_weights, head.class_weights())  # of the last step


def test_learns_what_one_context_a_class_can(config_of, train):
    head = train(config_of('coop', **WIDTH, **{'model.head.class_specific': True})).model.head
    torch.manual_seed(0)
    x, labels = torch.randn(3, 24), torch.tensor([2, 0, 1])
    optimizer = torch.optim.Adam([head.context], lr=0.05)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(head.train()((x,)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    head.keep_class_weights()
    assert head.eval()((x,)).argmax(1).equal(labels)


def test_a_step_embeds_each_class_once_whatever_the_batch(config_of, train, monkeypatch):
    from mmpretrain_lmmreg.text.prompt_learning import PromptTower

    embed, tokens = PromptTower._embed, []
    monkeypatch.setattr(
        PromptTower,
        '_embed',
        lambda self, part, context: (
            tokens.append(part.tokens.numel()),
            embed(self, part, context),
        )[1],
    )
    train(config_of('coop', **WIDTH))
    # 2 epochs of 24 images in batches of 8, and what is kept: before, and after each epoch; the
    # beginning and 16 tokens of context once, and of each class a name, a full stop and an end
    assert tokens == [17 + 3 * 3] * (2 * 3 + 3)


def test_rate_warms_up_for_an_epoch_and_falls(config_of, train):
    cfg = config_of('coop', **WIDTH, **{'train_cfg.max_epochs': 4})
    rates = train(cfg).message_hub.get_scalar('train/lr').data[0][::3]
    # the config's 200 epochs, stretched to four: the warm-up keeps its one
    cosine = [1e-3 * (1 + math.cos(math.pi * epoch / 4)) for epoch in (1, 2, 3)]
    assert rates.tolist() == pytest.approx([1e-5, *cosine])


@pytest.mark.parametrize('method', ['coop', 'cocoop', 'clip_a_self'])
def test_the_cosine_is_as_long_as_the_training(method):
    cfg = load_config(method_file(method))
    cosine = cfg.param_scheduler[0]
    assert cosine.T_max == cosine.end == cfg.train_cfg.max_epochs


def test_width_that_is_not_the_towers(config_of, train):
    with refused('heads.other_width'):
        train(config_of('coop'))


def test_checkpoint_of_other_classes(config_of, train):
    runner = train(config_of('coop', **WIDTH))
    cfg = config_of('coop', **WIDTH, **{'model.head.num_classes': 4})
    with refused('heads.other_shape'):
        load_checkpoint(Runner.from_cfg(cfg).model, f'{runner.work_dir}/epoch_2.pth')


def test_no_context():
    with refused('config.out_of_range'):
        MODELS.build(dict(type='CoOpHead', num_classes=3, in_channels=24, length=0))


def test_use_without_the_hook_or_training():
    head = MODELS.build(dict(type='CoOpHead', num_classes=3, in_channels=24))
    with refused('heads.not_set_up'):
        head.train()((torch.randn(2, 24),))
    with refused('heads.not_set_up'):
        head.eval()((torch.randn(2, 24),))
