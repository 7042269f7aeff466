"""The method clip_svd on the pictures."""

import pytest
import torch

from mmpretrain_lmmreg.hooks.run_folder import load_run

ON_IMAGES = {
    'model.backbone.trainable': 'svd_all',
    'train_cfg.type': 'EpochBasedTrainLoop',
    'val_cfg.type': 'ValLoop',
    'test_cfg.type': 'TestLoop',
}


@pytest.mark.parametrize(('options', 'count'), [({}, 24), (ON_IMAGES, 2 * 6 * 32 + 24)])
def test_only_singular_values_train(options, count, config_of, train):
    runner = train(config_of('clip_svd', **options))
    run, backbone = load_run(runner.work_dir), runner.model.backbone
    assert run['trained_parameters'] == count
    start = torch.linalg.svdvals(backbone.visual.proj)
    moved = (backbone.svd['proj'].singular_values - start).abs().max()
    assert 1e-3 < moved < 0.1  # six steps of Adam at 1e-3
