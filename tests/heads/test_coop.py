"""CoOp: equal to zero-shot where the context is written, and only the context trains."""

import pytest
import torch
from mmpretrain.registry import MODELS
from refused import refused

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


@pytest.mark.parametrize(
    'options',
    [
        {'train_cfg': dict(type='IterBasedTrainLoop', max_iters=6, _delete_=True)},
        {'default_hooks.checkpoint.by_epoch': False},
    ],
)
def test_checkpoints_between_epochs_would_hold_untrained_texts(options, config_of, train):
    with refused('config.wrong_setting', match='EpochBasedTrainLoop'):
        train(config_of('coop', param_scheduler=[], **WIDTH, **options))


def test_width_that_is_not_the_towers(config_of, train):
    with refused('heads.other_width'):
        train(config_of('coop'))


def test_use_without_the_hook_or_training():
    head = MODELS.build(dict(type='CoOpHead', num_classes=3, in_channels=24))
    with refused('heads.not_set_up'):
        head.train()((torch.randn(2, 24),))
    with refused('heads.not_set_up'):
        head.eval()((torch.randn(2, 24),))
