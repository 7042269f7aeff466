"""The paper's model at its real size, with random weights."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@pytest.mark.slow
def test_one_training_step():
    cfg = Config.fromfile(CONFIGS / 'lmmreg_ucf101.py')
    model = MODELS.build(cfg.model)
    model.head.set_class_means(torch.randn(101, 768))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {'backbone.visual.proj', 'head.fc.weight', 'head.fc.bias'}
    assert sum(model.get_parameter(n).numel() for n in trained) == 1024 * 768 + 768 * 101 + 101
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    samples = [DataSample().set_gt_label(label) for label in (3, 100)]
    log = model.train().train_step(dict(inputs=images, data_samples=samples), optimizer)
    assert log['loss'].item() == pytest.approx((log['loss_ce'] + log['loss_reg']).item())
    assert log['reg_ratio'].item() > 0
    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert changed == trained
    assert len(optimizer.optimizer.state) == 3
