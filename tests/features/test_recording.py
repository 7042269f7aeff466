import copy
import json
import time
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from mmengine.hooks import Hook, IterTimerHook
from mmengine.runner import Runner

from mmpretrain_lmmreg.benchmark.run import PLAIN


class ReadsEveryStep(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.last = runner.message_hub.get_scalar('train/loss').current()


@pytest.fixture
def cfg(tiny_config):
    """8 steps an epoch, of which 3 lines show the last 2, 2 and 2."""
    tiny_config.train_dataloader.batch_size = 3
    tiny_config.default_hooks.logger.interval = 3
    tiny_config.default_hooks.logger.ignore_last = False
    tiny_config.log_processor = dict(window_size=2)
    tiny_config.train_cfg.max_epochs = 2
    return tiny_config


def build(cfg, work, **options):
    cfg = copy.deepcopy(cfg)
    # a name of its own, since mmengine's is the second's, and runs of a name share their records
    cfg.merge_from_dict(
        {'work_dir': f'{cfg.work_dir}-{work}', 'experiment_name': uuid4().hex, **options}
    )
    return Runner.from_cfg(cfg)


def logged(runner):
    lines = (Path(runner.log_dir) / 'vis_data' / 'scalars.json').read_text().splitlines()
    untimed = [{k: v for k, v in json.loads(line).items() if 'time' not in k} for line in lines]
    return [line for line in untimed if 'loss' in line]


def recorded(runner):
    return len(runner.message_hub.get_scalar('train/loss').data[0])


def test_the_log_and_the_weights_are_those_of_the_standard_loop(cfg):
    cfg.param_scheduler = [dict(type='LinearLR', start_factor=0.1, end=12, by_epoch=False)]
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    ours, theirs = build(cfg, 'ours'), build(cfg, 'theirs', **PLAIN)
    for runner in (ours, theirs):
        runner.train()
    assert logged(ours) == logged(theirs)
    assert [line['step'] for line in logged(ours)] == [3, 6, 8, 11, 14, 16]
    assert (recorded(ours), recorded(theirs)) == (12, 16)
    for (name, one), other in zip(
        ours.model.state_dict().items(), theirs.model.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


@pytest.mark.parametrize('window', ['epoch', 'global'])
def test_long_windows_record_every_step(cfg, window):
    cfg.log_processor.custom_cfg = [dict(data_src='loss', method_name='mean', window_size=window)]
    runner = build(cfg, window)
    runner.train()
    assert recorded(runner) == 16


def test_a_hook_of_ones_own_sees_every_step(cfg):
    runner = build(cfg, 'own')
    runner.register_hook(ReadsEveryStep())
    runner.train()
    assert recorded(runner) == 16


def test_times_count_all_steps_and_show_one(cfg, monkeypatch):
    runner = build(cfg, 'timed')
    step = type(runner.model).train_step

    def slow(*args, **kwargs):
        time.sleep(0.05)
        return step(*args, **kwargs)

    monkeypatch.setattr(type(runner.model), 'train_step', slow)
    runner.train()
    timer = next(hook for hook in runner.hooks if isinstance(hook, IterTimerHook))
    assert timer.time_sec_tot > 16 * 0.05
    waits = runner.message_hub.get_scalar('train/data_time').data[0]
    assert len(waits) == 12 and sorted(waits)[6] < 0.04
    assert max(waits[1:6]) < 0.05  # less than the step before, which was not recorded
