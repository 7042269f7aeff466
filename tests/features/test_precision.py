"""precision='auto' is bfloat16 where the device has it and the features stay close."""

import json

import numpy as np
import pytest
import torch
from features.running import train
from mmengine.runner import Runner
from mmpretrain.registry import MODELS, TRANSFORMS

from mmpretrain_lmmreg.clip.backbone import OLD_BUFFERS, OpenCLIPVisual
from mmpretrain_lmmreg.features import precision
from mmpretrain_lmmreg.features.images import first_images


@pytest.fixture
def auto(tiny_config, monkeypatch):
    """The config of a run that decides for bfloat16."""
    monkeypatch.setattr(precision, 'has_bfloat16', lambda device: True)
    tiny_config.model.backbone.precision = 'auto'
    return tiny_config


def run(cfg, name, precision='auto', **options):
    return train(cfg, name, **{'model.backbone.precision': precision, **options})


def dtype(model):
    return model.backbone.visual.conv1.weight.dtype


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(t, b[name]) for name, t in a.items())


def test_auto_is_bfloat16_by_hand(auto):
    decided = run(auto, 'auto').model
    assert dtype(decided) == torch.bfloat16
    assert same_weights(decided, run(auto, 'hand', 'bfloat16').model)


def test_float32_where_the_device_has_no_bfloat16(auto, monkeypatch):
    monkeypatch.setattr(precision, 'has_bfloat16', lambda device: False)
    assert dtype(run(auto, 'auto').model) == torch.float32


@pytest.mark.parametrize(('error', 'shown'), [(0.1, '0.99'), (torch.nan, 'nan')])
def test_float32_where_one_image_is_too_far(auto, monkeypatch, capsys, error, shown):
    exact = OpenCLIPVisual.forward_trunk

    def one_wrong(self, images):
        features = exact(self, images)
        if self.precision == 'bfloat16':
            features[3, 0] += error * features[3].norm()
        return features

    monkeypatch.setattr(OpenCLIPVisual, 'forward_trunk', one_wrong)
    auto.log_level = 'INFO'
    assert dtype(run(auto, 'auto').model) == torch.float32
    printed = ''.join(capsys.readouterr())
    assert f"precision='auto' is float32: the smallest cosine to float32 is {shown}" in printed


def test_a_second_run_computes_nothing(auto, monkeypatch, tmp_path):
    first = run(auto, 'first').model
    monkeypatch.setattr(OpenCLIPVisual, 'forward_trunk', None)
    assert same_weights(first, run(auto, 'second').model)
    tables = [json.loads(p.read_text()) for p in (tmp_path / 'cache').glob('features/*/about.json')]
    assert [table['trunk']['precision'] for table in tables] == ['bfloat16']


def test_a_checkpoint_is_tested_as_it_was_trained(auto, monkeypatch):
    trained = run(auto, 'run').model
    monkeypatch.setenv('LMMREG_CACHE', f'{auto.work_dir}-empty')
    auto.load_from = f'{auto.work_dir}-run/epoch_2.pth'
    runner = Runner.from_cfg(auto)
    runner.test()
    assert same_weights(trained, runner.model) and dtype(runner.model) == torch.bfloat16


def test_a_checkpoint_that_keeps_a_measured_decision_loads_without_it(tiny_clip):
    backbone = OpenCLIPVisual(f'local-dir:{tiny_clip}', precision='auto')
    old = dict(backbone.state_dict(), **{name: torch.tensor(2) for name in OLD_BUFFERS})
    backbone.load_state_dict(old)
    with pytest.raises(RuntimeError, match='decided'):
        backbone.load_state_dict(dict(old, decided=torch.tensor(2)))


def test_resume_with_averaged_weights(auto):
    auto.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    straight = run(auto, 'straight', **{'train_cfg.max_epochs': 3})
    run(auto, 'resumed')
    resumed = run(auto, 'resumed', resume=True, **{'train_cfg.max_epochs': 3})
    assert same_weights(straight.model, resumed.model)


def test_undecided_on_images_is_float32(auto):
    undecided = MODELS.build(auto.model).backbone
    exact = MODELS.build({**auto.model.backbone, 'precision': 'float32'})
    exact.init_weights()
    undecided.init_weights()
    images = torch.randn(3, 3, 32, 32)
    assert torch.equal(exact.forward_trunk(images), undecided.forward_trunk(images))


def test_only_the_first_process_decides(auto, monkeypatch):
    monkeypatch.setattr(precision, 'is_main_process', lambda: False)
    monkeypatch.setattr(precision, '_decide', None)
    told = ('bfloat16', 'as told')
    monkeypatch.setattr(precision, 'broadcast_object_list', lambda x: x.__setitem__(0, told))
    assert dtype(run(auto, 'run').model) == torch.bfloat16


def test_unreadable_images_are_left_out(auto, tmp_path):
    dataset = Runner.build_dataloader(auto.train_dataloader).dataset
    dataset.pipeline.transforms.insert(-1, TRANSFORMS.build(dict(type='RandomFlip', prob=0.5)))
    drawn = np.random.get_state()[2]
    assert len(first_images(dataset, 64)) == 24
    assert np.random.get_state()[2] == drawn
    del dataset.pipeline.transforms[-2]
    original, nowhere = dataset.get_data_info, dict(img_path=str(tmp_path / 'nowhere.png'))
    dataset.get_data_info = lambda index: original(index) | ({} if index else nowhere)
    assert len(first_images(dataset, 64)) == 23
    dataset.get_data_info = lambda index: original(index) | nowhere
    model = MODELS.build(auto.model)
    precision.settle_precision(model, dataset)
    assert model.backbone.precision == 'float32'
