"""A method's own config on the pictures, with the tiny CLIP."""

import copy

import pytest

from mmpretrain_lmmreg.config import config_folder, load_config, method_file
from mmpretrain_lmmreg.runner import LMMRegRunner as Runner

BAR = config_folder() / 'lmmreg_bar.py'


@pytest.fixture
def config_of(tiny_config):
    """A function: method -> its config for BAR, on ``tiny_config``'s data and model."""

    def build(method, **options):
        cfg = load_config(method_file(method), BAR)
        for part in ('train', 'val', 'test'):
            pipeline = cfg[f'{part}_dataloader'].dataset.pipeline
            described = any(t.type == 'AttachDescriptions' for t in pipeline)
            own = tiny_config[f'{"train" if described else "test"}_dataloader'].dataset.pipeline
            cfg[f'{part}_dataloader'] = copy.deepcopy(tiny_config[f'{part}_dataloader'])
            cfg[f'{part}_dataloader'].dataset.pipeline = copy.deepcopy(own)
        cfg.merge_from_dict(
            {
                'work_dir': tiny_config.work_dir,
                'log_level': 'WARNING',
                'train_cfg.max_epochs': 2,
                'model.backbone.model_name': tiny_config.model.backbone.model_name,
                'model.backbone.pretrained': None,
                'model.head.num_classes': 3,
                'model.head.in_channels': 24,
                **options,
            }
        )
        return cfg

    return build


@pytest.fixture
def train():
    """A function: config, options -> the runner after training."""

    def run(cfg, **options):
        cfg = copy.deepcopy(cfg)
        cfg.merge_from_dict(options)
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner

    return run
