"""The method clip_svd on the pictures."""

import pytest
import torch

from mmpretrain_lmmreg.evidence.results import load_run


def test_only_singular_values_train(config_of, train, evaluate):
    runner = train(config_of('clip_svd'))
    run, svd = load_run(runner.work_dir), runner.model.backbone.svd
    assert run['trained_parameters'] == len(svd.singular_values) == 24
    start = torch.linalg.svdvals(runner.model.backbone.visual.proj)
    moved = (svd.singular_values - start).abs().max()
    assert 1e-3 < moved < 0.1  # six steps of Adam at 1e-3
    expected = 100 * run['epochs'][-1]['accuracy']
    assert evaluate(runner.cfg, runner) == pytest.approx(expected, abs=1e-4)
