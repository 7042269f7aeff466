"""precision='auto' is decided by measuring, once, and kept in the table and the checkpoint."""

import copy
import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

from mmpretrain_lmmreg.clip.backbone import OpenCLIPVisual
from mmpretrain_lmmreg.features import precision, trunk
from mmpretrain_lmmreg.features.images import first_images
from mmpretrain_lmmreg.features.precision import compare_precisions, fastest_number


@pytest.fixture
def images():
    return torch.randn(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def backbone(tiny_clip):
    backbone = OpenCLIPVisual(f'local-dir:{tiny_clip}', precision='auto')
    backbone.init_weights()
    return backbone


def faster(monkeypatch, times):
    monkeypatch.setattr(precision, '_fastest', lambda *_: (times, 1.0))


@pytest.fixture
def auto(tiny_config, monkeypatch):
    """The config of a run that decides for bfloat16."""
    faster(monkeypatch, 1.5)
    tiny_config.model.backbone.precision = 'auto'
    return tiny_config


def run(cfg, name, **options):
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict({'work_dir': f'{cfg.work_dir}-{name}', **options})
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def trunk_dtype(model):
    return model.backbone.visual.conv1.weight.dtype


def test_bfloat16_where_it_is_faster_and_close(backbone, images, monkeypatch):
    faster(monkeypatch, 1.5)
    found = compare_precisions(backbone, images)
    assert found.precision == 'bfloat16'
    assert 0.999 <= found.cosine < 1
    assert found.reason.startswith('1.50 times as fast, smallest cosine to float32 0.99')
    assert backbone.precision == 'auto' and backbone.visual.conv1.weight.dtype == torch.float32


def test_float32_where_bfloat16_is_slower(backbone, images, monkeypatch):
    faster(monkeypatch, 0.5)
    found = compare_precisions(backbone, images)
    assert (found.precision, found.cosine) == ('float32', None)
    assert found.reason == 'bfloat16 takes 2.00 times as long'


def test_the_worst_image_decides(backbone, images, monkeypatch):
    faster(monkeypatch, 1.5)
    exact = OpenCLIPVisual.forward_trunk

    def one_wrong(self, x):
        features = exact(self, x)
        if self.precision == 'bfloat16' and len(x) == 4:  # the last part
            features[3, 0] += 0.1 * features[3].norm()
        return features

    monkeypatch.setattr(OpenCLIPVisual, 'forward_trunk', one_wrong)
    found = compare_precisions(backbone, images)
    assert found.precision == 'float32'
    assert 0.9 < found.cosine < 0.999
    assert 'refused: smallest cosine to float32 0.99' in found.reason


@pytest.mark.parametrize('part', [0, -1])
def test_a_cosine_that_is_no_number_is_refused(backbone, images, monkeypatch, part):
    faster(monkeypatch, 1.5)
    exact = OpenCLIPVisual.forward_trunk
    bad = images.split(16)[part]

    def overflown(self, x):
        features = exact(self, x)
        if self.precision == 'bfloat16' and torch.equal(x, bad):
            features[0] = torch.nan
        return features

    monkeypatch.setattr(OpenCLIPVisual, 'forward_trunk', overflown)
    found = compare_precisions(backbone, images)
    assert found.precision == 'float32' and 'refused' in found.reason


def test_the_clock_decides_what_is_faster(backbone, images):
    slow = copy.deepcopy(backbone)
    slow.forward_trunk = lambda x: [backbone.forward_trunk(x) for _ in range(30)][0]
    quick, slow_seconds = precision._fastest([backbone, slow], images)
    assert quick < slow_seconds


@pytest.mark.parametrize(('seconds', 'number'), [((1, 2), 4), ((2, 1), 16)])
def test_the_fastest_number_of_images_at_a_time(backbone, images, monkeypatch, seconds, number):
    tried = []

    def fastest(trials, measured, repeats):
        tried.extend(trial.at_a_time for trial in trials)
        assert len(measured) == 16
        return seconds

    monkeypatch.setattr(precision, '_fastest', fastest)
    assert fastest_number(backbone, images) == number
    assert tried == [4, 16] and backbone.at_a_time == 4
    assert fastest_number(backbone, images[:15]) == 4  # too few to measure


def test_the_number_is_measured_in_the_chosen_precision_and_names_the_table(
    auto, monkeypatch, tmp_path
):
    seen = []

    def number(backbone, images):
        seen.append((backbone.precision, trunk_dtype(SimpleNamespace(backbone=backbone))))
        return 8

    monkeypatch.setattr(trunk, 'fastest_number', number)
    backbone = run(auto, 'run').model.backbone
    assert seen == [('bfloat16', torch.bfloat16)]  # once
    assert backbone.at_a_time == 8 and backbone.state_dict()['decided_at_a_time'] == 8
    tables = [json.loads(p.read_text()) for p in (tmp_path / 'cache').glob('features/*/about.json')]
    assert [t['trunk']['at_a_time'] for t in tables] == [8]


def test_a_checkpoint_without_the_number_took_four(backbone):
    state = dict(backbone.state_dict())
    state['decided_precision'] = torch.tensor(2)
    del state['decided_at_a_time']
    backbone.load_state_dict(state)
    assert (backbone.precision, backbone.at_a_time) == ('bfloat16', 4)


def test_decided_once_and_kept_beside_the_tables(auto, monkeypatch, tmp_path):
    first = run(auto, 'first')
    assert first.model.backbone.precision == 'bfloat16'
    (kept,) = (tmp_path / 'cache' / 'features').glob('precision-*.json')
    assert json.loads(kept.read_text())['precision'] == 'bfloat16'
    tables = [json.loads(p.read_text()) for p in (tmp_path / 'cache').glob('features/*/about.json')]
    assert [t['trunk']['precision'] for t in tables] == ['bfloat16']
    monkeypatch.setattr(trunk, 'compare_precisions', None)
    monkeypatch.setattr(OpenCLIPVisual, 'forward_trunk', None)
    second = run(auto, 'second')
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


@pytest.mark.parametrize('damage', [lambda t: t.replace('bfloat16', 'float32'), lambda t: t[:9]])
def test_a_damaged_decision_is_made_again(auto, tmp_path, damage):
    run(auto, 'first')
    (kept,) = (tmp_path / 'cache' / 'features').glob('precision-*.json')
    whole = json.loads(kept.read_text())
    kept.write_text(damage(kept.read_text()))
    assert run(auto, 'second').model.backbone.precision == 'bfloat16'
    assert json.loads(kept.read_text()).keys() == whole.keys()


def test_same_as_bfloat16_by_hand(auto):
    by_hand = run(auto, 'hand', **{'model.backbone.precision': 'bfloat16'}).model.state_dict()
    decided = run(auto, 'auto').model.state_dict()
    assert decided.pop('backbone.decided_precision') == 2
    assert decided.pop('backbone.decided_at_a_time') == 16
    assert all(torch.equal(decided[name], by_hand[name]) for name in by_hand)
    assert decided.keys() == by_hand.keys()


@pytest.mark.parametrize('times', [1.5, 0.5])
def test_a_checkpoint_is_tested_as_it_was_trained(auto, monkeypatch, times):
    faster(monkeypatch, times)
    trained = run(auto, 'run').model
    assert trained.backbone.precision == ('bfloat16' if times > 1 else 'float32')
    monkeypatch.setattr(trunk, 'compare_precisions', None)
    monkeypatch.setenv('LMMREG_CACHE', f'{auto.work_dir}-empty')
    auto.load_from = f'{auto.work_dir}-run/epoch_2.pth'
    runner = Runner.from_cfg(auto)
    runner.test()
    assert runner.model.backbone.precision == trained.backbone.precision
    assert runner.model.backbone.at_a_time == trained.backbone.at_a_time
    assert trunk_dtype(runner.model) == trunk_dtype(trained)
    for name, value in trained.state_dict().items():
        assert torch.equal(value, runner.model.state_dict()[name]), name


def test_a_decision_for_float32_replaces_one_for_bfloat16(backbone):
    state = dict(backbone.state_dict())
    state['decided_precision'] = torch.tensor(1)
    backbone.use_precision('bfloat16')
    backbone.load_state_dict(state)
    assert backbone.precision == 'float32'
    assert backbone.visual.conv1.weight.dtype == torch.float32


def test_resume_with_averaged_weights(auto):
    auto.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    straight = run(auto, 'straight', **{'train_cfg.max_epochs': 3})
    run(auto, 'resumed')
    resumed = run(auto, 'resumed', resume=True, **{'train_cfg.max_epochs': 3})
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_undecided_on_images_is_float32(tiny_config, images):
    exact = MODELS.build(tiny_config.model).backbone
    tiny_config.model.backbone.precision = 'auto'
    undecided = MODELS.build(tiny_config.model).backbone
    exact.init_weights()
    undecided.init_weights()
    assert torch.equal(exact.forward_trunk(images), undecided.forward_trunk(images))


def test_only_the_first_process_measures(auto, monkeypatch):
    monkeypatch.setattr(trunk, 'is_main_process', lambda: False)
    monkeypatch.setattr(trunk, 'compare_precisions', None)
    told = dict(precision='bfloat16', reason='as told', at_a_time=16)
    monkeypatch.setattr(trunk, 'broadcast_object_list', lambda x: x.__setitem__(0, told))
    assert run(auto, 'run').model.backbone.precision == 'bfloat16'


def test_unreadable_images_are_left_out(auto, pictures, tmp_path):
    dataset = Runner.build_dataloader(auto.train_dataloader).dataset
    assert len(first_images(dataset, 64)) == 24
    original, nowhere = dataset.get_data_info, dict(img_path=str(tmp_path / 'nowhere.png'))
    dataset.get_data_info = lambda index: original(index) | ({} if index else nowhere)
    assert len(first_images(dataset, 64)) == 23
    dataset.get_data_info = lambda index: original(index) | nowhere
    model = MODELS.build(auto.model)
    trunk.settle_precision(model, dataset)
    assert model.backbone.precision == 'auto'
