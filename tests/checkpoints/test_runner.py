"""What the Runner of the configs does beside checkpoints."""

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.registry import RUNNERS
from refused import refused

from mmpretrain_lmmreg.cli.runner import CommandRunner
from mmpretrain_lmmreg.cli.upstream import build_runner
from mmpretrain_lmmreg.runner import LMMRegRunner


@pytest.mark.parametrize(
    'changes',
    [
        {'train_dataloader.drop_last': True, 'train_dataloader.batch_size': 64},
        {'train_cfg.min_iters': 600, 'train_dataloader.drop_last': True}
        | {'train_dataloader.batch_size': 25},
        {'train_cfg.type': 'EpochBasedTrainLoop', 'train_dataloader.drop_last': True}
        | {'train_dataloader.batch_size': 64},
        {'train_cfg.max_epochs': 0},
        {'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=0)},
    ],
    ids=['few', 'min_iters', 'images', 'no_epochs', 'no_iters'],
)
def test_training_of_no_steps_is_refused(tiny_config, changes):
    loop = changes.pop('train_cfg', None)
    tiny_config.merge_from_dict(changes)
    if loop:
        loop.pop('_delete_')
        tiny_config.train_cfg = loop
    with refused('runner.no_steps'):
        LMMRegRunner.from_cfg(tiny_config).train()


def test_one_batch_of_all_images_is_enough_and_loaders_without_workers_do_not_persist(tiny_config):
    tiny_config.train_dataloader.update(drop_last=True, batch_size=24)
    for name in ('train_dataloader', 'val_dataloader'):
        tiny_config[name].persistent_workers = True  # as mmpretrain's train.py adds
    runner = LMMRegRunner.from_cfg(tiny_config)
    runner.train()
    assert runner.iter == tiny_config.train_cfg.max_epochs


def test_a_config_is_formatted_once_until_it_changes(tiny_config, monkeypatch):
    formatted, calls = Config.pretty_text.fget, []
    monkeypatch.setattr(
        Config, 'pretty_text', property(lambda cfg: calls.append(1) or formatted(cfg))
    )
    tiny_config.default_hooks.checkpoint.interval = 1
    runner = LMMRegRunner.from_cfg(tiny_config)
    runner.train()
    assert len(calls) == 1
    runner.cfg.log_level = 'ERROR'
    assert "log_level='ERROR'" in runner.cfg.pretty_text.replace(' ', '') and len(calls) == 2


def test_commands_use_our_runner_and_say_what_another_loses(tiny_config, capfd):
    assert type(build_runner(tiny_config)) is CommandRunner
    tiny_config.pop('runner_type')  # as a config of version 0.1
    assert type(build_runner(tiny_config)) is CommandRunner

    class Theirs(Runner):
        """Somebody's."""

    RUNNERS.register_module(name='Theirs', module=Theirs)
    try:
        tiny_config.runner_type = 'mmpretrain.Theirs'
        capfd.readouterr()
        assert type(build_runner(tiny_config)) is Theirs
        assert 'stands for mmpretrain.LMMRegRunner' in ''.join(capfd.readouterr())
    finally:
        del RUNNERS.module_dict['Theirs']
