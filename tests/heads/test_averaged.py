"""EMA: the class embeddings that are tested and saved are those of the averaged parameters.

All methods with EMA, resumed too: test_every_method.py.
"""

import pytest
import torch
from mmengine.hooks import EMAHook, Hook
from mmpretrain.registry import HOOKS

EMA = dict(type='EMAHook', momentum=0.3)
OPTIONS = {
    'coop': {'model.head.width': 16},
    'cocoop': {'model.head.width': 16},
    'clip_a_self': {'model.head.logit_scale': 10.0},
    'labo': {},
}
QUICK = {'optim_wrapper.optimizer.lr': 0.3, 'param_scheduler': None}


@HOOKS.register_module()
class SeenWeights(Hook):
    """Class embeddings that each validation used."""

    seen: list = []

    def after_val_iter(self, runner, batch_idx, **_):
        if batch_idx == 0:
            self.seen.append(runner.model.head.text_weights.clone())


@pytest.fixture
def averaged(config_of, train):
    """A function: method, options -> the runner after training and its EMAHook."""

    def run(method, **options):
        cfg = config_of(method, **{**OPTIONS.get(method, {}), **QUICK, **options})
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(EMA), dict(type='SeenWeights')]
        SeenWeights.seen = []
        runner = train(cfg)
        return runner, next(hook for hook in runner.hooks if isinstance(hook, EMAHook))

    return run


@pytest.mark.parametrize('method', OPTIONS)
def test_weights_belong_to_the_averaged_parameters(method, averaged):
    runner, hook = averaged(method)
    head, copy = runner.model.head.eval(), hook.ema_model.module.head
    own = {name: value.clone() for name, value in head.state_dict().items()}
    with torch.no_grad():
        raw = head.class_weights()
        head.load_state_dict(copy.state_dict())
        expected = head.class_weights()
        head.load_state_dict(own)
    assert (expected - raw).abs().max() > 1e-3 * raw.abs().max()
    torch.testing.assert_close(head.text_weights, raw)  # what training goes on with
    torch.testing.assert_close(SeenWeights.seen[-1], expected)
    saved = torch.load(f'{runner.work_dir}/epoch_2.pth', weights_only=False)
    torch.testing.assert_close(saved['state_dict']['head.text_weights'], expected)
    torch.testing.assert_close(saved['ema_state_dict']['module.head.text_weights'], raw)


def test_the_cache_of_tip_adapter_f_is_averaged(averaged):
    """The copy was made before the cache was known, of other size."""
    runner, hook = averaged('tip_adapter_f', **{'optim_wrapper.optimizer.lr': 0.01})
    keys, mean = runner.model.head.keys, hook.ema_model.module.head.keys
    assert mean.shape == keys.shape == (24, 24)
    assert not torch.equal(mean, keys) and (mean - keys).abs().max() < 0.1
    saved = torch.load(f'{runner.work_dir}/epoch_2.pth', weights_only=False)
    assert torch.equal(saved['state_dict']['head.keys'], mean)
