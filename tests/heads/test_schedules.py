"""Schedules of the methods: as long as the run, however long that is."""

import pytest

from mmpretrain_lmmreg.runner import stretched


def test_a_schedule_stretches_by_epochs():
    cosine = dict(type='CosineAnnealingLR', begin=1, end=50, T_max=50)
    assert stretched(cosine, 4) == dict(type='CosineAnnealingLR', begin=4, end=200, T_max=200)
    assert stretched(dict(type='MultiStepLR', milestones=[60, 80]), 2)['milestones'] == [120, 160]
    by_steps = dict(type='LinearLR', by_epoch=False, end=50)
    assert stretched(by_steps, 4) == by_steps
    warm_up = dict(type='ConstantLR', factor=0.1, end=2)
    assert stretched(warm_up, 0.01) == warm_up  # which takes one epoch at least


@pytest.mark.parametrize(
    ('method', 'longer'),
    [
        ('clip_a_self', 'train_cfg.min_iters'),
        ('wise_ft', 'train_cfg.max_epochs'),
        ('zs_lp', 'train_cfg.min_iters'),
    ],
)
def test_the_rate_falls_until_the_end_of_a_longer_run(method, longer, config_of, train):
    steps = 90
    options = {'train_dataloader.batch_size': 32, 'train_cfg.max_epochs': 30, longer: steps}
    runner = train(config_of(method, **options))
    rates, _ = runner.message_hub.log_scalars['train/lr'].data
    assert len(rates) == steps
    peak = rates.max()
    assert rates.argmax() < steps / 5
    assert 0.3 < rates[steps // 2] / peak < 0.7
    assert rates[-1] < 0.02 * peak < rates[int(0.85 * steps)]


def test_resuming_for_longer_under_the_schedule_of_a_checkpoint_is_told(config_of, train, capfd):
    cfg = config_of('zs_lp')
    train(cfg)
    cfg.resume = True
    assert 'schedule of the checkpoint' not in capfd.readouterr().out
    cfg.train_cfg.max_epochs = 4
    train(cfg)
    assert 'the schedule of the checkpoint ends after 2 epochs' in capfd.readouterr().out
