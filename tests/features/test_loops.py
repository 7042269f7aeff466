import copy
import json
import os
import shutil

import numpy as np
import pytest
import torch
from features.running import train
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, MODELS
from PIL import Image
from refused import refused
from safetensors.torch import load_file

from mmpretrain_lmmreg.clip.backbone import OpenCLIPVisual
from mmpretrain_lmmreg.datasets.samples import iter_infos, leaf_datasets
from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.features import trunk
from mmpretrain_lmmreg.features.dataset import FeatureDataset, image_embeddings
from mmpretrain_lmmreg.io.table import StoredRows

PLAIN = {
    'train_cfg.type': 'EpochBasedTrainLoop',
    'val_cfg.type': 'ValLoop',
    'test_cfg.type': 'TestLoop',
}


def assert_same_weights(one, other):
    one, other = one.model.state_dict(), other.model.state_dict()
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def own_copy(cfg, pictures, tmp_path):
    """Let the config read a copy of the pictures that a test may change."""
    root = tmp_path / 'own'
    shutil.copytree(pictures, root)
    for name in ('train', 'val', 'test'):
        cfg[f'{name}_dataloader'].dataset.data_root = str(root)
    for transform in cfg.train_dataloader.dataset.pipeline:
        if transform['type'] == 'AttachDescriptions':
            transform['data_root'] = str(root)
    return root


def test_same_weights_as_the_standard_loops(tiny_config):
    cached = train(tiny_config, 'cached')
    plain = train(tiny_config, 'plain', **PLAIN)
    assert_same_weights(cached, plain)
    trained = plain.model.backbone.visual.proj.clone()
    plain.model.backbone.init_weights()
    assert not torch.equal(trained, plain.model.backbone.visual.proj)
    ours, theirs = (r.message_hub.get_scalar('val/accuracy/top1').data for r in (cached, plain))
    # the last two: runs that start in the same second share mmengine's message hub
    assert np.array_equal(ours[0][-2:], theirs[0][-2:])


def test_same_weights_with_ema_wrappers_and_a_last_small_batch(tiny_config):
    tiny_config.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    images = tiny_config.train_dataloader.dataset
    tiny_config.train_dataloader.batch_size = 7
    tiny_config.train_dataloader.dataset = dict(
        type='RepeatDataset',
        times=2,
        dataset=dict(type='ConcatDataset', datasets=[dict(images, indices=10), images]),
    )
    assert_same_weights(train(tiny_config, 'cached'), train(tiny_config, 'plain', **PLAIN))


def test_same_weights_on_a_tower_with_batch_norm_and_dropout(
    tiny_config, batch_norm_clip, tmp_path
):
    """A loader of images draws from torch's generator before each epoch, and so must ours."""
    folder = tmp_path / 'dropout'
    shutil.copytree(batch_norm_clip, folder)
    config = json.loads((folder / 'open_clip_config.json').read_text())
    config['model_cfg']['vision_cfg']['timm_drop'] = 0.5
    (folder / 'open_clip_config.json').write_text(json.dumps(config))
    tiny_config.merge_from_dict({'model.backbone.model_name': f'local-dir:{folder}'})
    assert_same_weights(train(tiny_config, 'cached'), train(tiny_config, 'plain', **PLAIN))


def test_same_weights_from_a_table_on_disk(tiny_config, monkeypatch):
    in_memory = train(tiny_config, 'memory')
    monkeypatch.setattr('mmpretrain_lmmreg.io.table.IN_MEMORY', 0)
    monkeypatch.setattr('mmpretrain_lmmreg.features.dataset.KEPT_SAMPLES', 3)
    on_disk = train(tiny_config, 'disk')
    assert isinstance(on_disk.train_dataloader.dataset.features, StoredRows)
    assert len(on_disk.val_dataloader.dataset.kept) == 3
    assert_same_weights(in_memory, on_disk)


def test_batches_are_float32_whatever_is_kept(tiny_config):
    images = Runner.build_dataloader(tiny_config.train_dataloader).dataset
    rows = {os.path.abspath(info['img_path']): 0 for info in iter_infos(images)}
    data = FeatureDataset(images, torch.ones(1, 32, dtype=torch.float16), rows)
    assert data[0]['inputs'].dtype == torch.float32


def test_samples_of_a_batch_are_made_when_asked_for_and_packed_in_order(tiny_config):
    images = Runner.build_dataloader(tiny_config.train_dataloader).dataset
    rows = {os.path.abspath(info['img_path']): i for i, info in enumerate(iter_infos(images))}
    data = FeatureDataset(images, torch.ones(len(rows), 32), rows)
    chosen = [20, 3, 11]
    samples = data.__getitems__(chosen)['data_samples']
    assert len(samples) == 3 and not data.kept
    labels = [images.get_data_info(i)['gt_label'] for i in chosen]
    assert len(set(labels)) > 1 and samples.packed.gt_label.tolist() == labels
    assert [s.gt_label.item() for s in samples] == labels
    assert [s.gt_label.item() for s in samples[1:]] == labels[1:] and len(data.kept) == 3
    info = images.get_data_info
    images.get_data_info = lambda index: info(index) | dict(gt_label=[0, 1])
    several = FeatureDataset(images, torch.ones(len(rows), 32), rows)
    assert isinstance(several.__getitems__(chosen)['data_samples'], list)


@pytest.mark.parametrize(('window', 'kept'), [('epoch', 1), (2, 2), ('global', 6)])
def test_histories_of_scalars_stay_as_short_as_the_log_allows(
    tiny_config, monkeypatch, window, kept
):
    monkeypatch.setattr('mmpretrain_lmmreg.features.loops.HISTORY', 1)
    tiny_config.train_dataloader.batch_size = 24
    tiny_config.log_processor = dict(
        window_size=1, custom_cfg=[dict(data_src='loss', method_name='mean', window_size=window)]
    )
    runner = train(tiny_config, f'history-{window}', **{'train_cfg.max_epochs': 6})
    for name in ('loss', 'reg_ratio', 'lr', 'time'):
        assert len(runner.message_hub.get_scalar(f'train/{name}').data[0]) == kept
    assert len(runner.message_hub.get_scalar('val/accuracy/top1').data[0]) == 6


def test_interrupted_and_resumed_equals_straight(tiny_config):
    straight = train(tiny_config, 'straight', **{'train_cfg.max_epochs': 4})
    train(tiny_config, 'resumed')
    resumed = train(tiny_config, 'resumed', resume=True, **{'train_cfg.max_epochs': 4})
    assert_same_weights(straight, resumed)


def test_the_trunk_gets_full_batches_only(tiny_config, monkeypatch):
    """Rounding may depend on the size of a batch, and so on which images were kept before."""
    tiny_config.train_dataloader.batch_size = tiny_config.val_dataloader.batch_size = 7
    exact, sizes = OpenCLIPVisual.forward_trunk, []
    monkeypatch.setattr(
        OpenCLIPVisual, 'forward_trunk', lambda self, x: sizes.append(len(x)) or exact(self, x)
    )
    train(tiny_config, 'full')
    assert set(sizes) == {8}  # whatever the loader's are


def test_second_run_does_not_touch_the_trunk(tiny_config, monkeypatch):
    first = train(tiny_config, 'first')

    def fail(*args):
        raise AssertionError('the trunk ran')

    monkeypatch.setattr('mmpretrain_lmmreg.clip.backbone.OpenCLIPVisual.forward_trunk', fail)
    assert_same_weights(first, train(tiny_config, 'second'))


def test_only_new_and_changed_images_are_computed(tiny_config, pictures, tmp_path):
    root = own_copy(tiny_config, pictures, tmp_path)
    red = root / 'train' / 'red'
    tiny_config.train_dataloader.batch_size = 64
    train(tiny_config, 'first')
    Image.new('RGB', (40, 40)).save(red / '0.png')
    Image.new('RGB', (40, 40), 'red').save(red / '8.png')
    (red / '1.png').unlink()
    tiny_config.train_dataloader.dataset.pipeline[-2].missing = 'skip'
    tiny_config.train_dataloader.batch_size = 8
    changed = train(tiny_config, 'second')
    rows = [
        len(load_file(chunk)['rows'])
        for chunk in (tmp_path / 'cache' / 'features').glob('*/*.safetensors')
    ]
    assert sorted(rows) == [2, 12, 24]  # two images anew, the test and the training images
    assert_same_weights(changed, train(tiny_config, 'plain', **PLAIN))


def test_random_transform_is_refused_by_name(tiny_config):
    tiny_config.train_dataloader.dataset.pipeline.insert(3, dict(type='ColorJitter'))
    with refused('features.random_images', match='ColorJitter'):
        train(tiny_config, 'random')


def test_batch_augmentation_is_refused_by_name(tiny_config):
    tiny_config.model.train_cfg = dict(augments=dict(type='Mixup', alpha=0.8))
    tiny_config.model.data_preprocessor.num_classes = 3
    with refused('features.random_images', match='Mixup'):
        train(tiny_config, 'mixup')


def test_a_trunk_that_trains_is_refused(tiny_config):
    tiny_config.model.backbone.trainable = 'last_block'
    with refused('features.trunk_trains', match='last_block'):
        train(tiny_config, 'block')


def test_unreadable_images_of_both_splits_are_named_after_all_others_are_done(
    tiny_config, pictures, tmp_path
):
    root = own_copy(tiny_config, pictures, tmp_path)
    bad = (root / 'train/green/3.png', root / 'test/blue/0.png')
    good = {path: path.read_bytes() for path in bad}
    for path, content in good.items():
        path.write_bytes(content[:100])
    with refused('features.unreadable', match='1 of 24 ') as caught:
        train(tiny_config, 'bad')
    assert all(f'\n{path}: ' in str(caught.value) for path in good)
    kept = (tmp_path / 'cache' / 'features').glob('*/*.safetensors')
    assert sorted(len(load_file(path)['rows']) for path in kept) == [11, 23]  # test and training
    for path, content in good.items():
        path.write_bytes(content)
    train(tiny_config, 'mended')


def test_what_a_few_shot_run_kept_changes_no_bit(tiny_config, tmp_path, monkeypatch):
    fresh = train(tiny_config, 'fresh')
    monkeypatch.setenv('LMMREG_CACHE', str(tmp_path / 'other'))
    images = tiny_config.train_dataloader.dataset
    train(tiny_config, 'few', **{'train_dataloader.dataset': dict(images, indices=[0, 9, 17])})
    after = train(tiny_config, 'after')
    assert torch.equal(fresh.model.head.class_means, after.model.head.class_means)
    assert_same_weights(fresh, after)


def test_a_damaged_feature_is_computed_again(tiny_config, tmp_path):
    fresh = train(tiny_config, 'fresh')
    for chunk in (tmp_path / 'cache').glob('*/*/*.safetensors'):
        content = bytearray(chunk.read_bytes())
        content[-2] ^= 64
        chunk.write_bytes(content)
    assert_same_weights(fresh, train(tiny_config, 'again'))


def test_features_are_kept_while_more_are_computed(tiny_config, tmp_path, monkeypatch):
    """Ctrl-C loses what was computed in the last ten seconds, here in the last batch."""
    backbone = OpenCLIPVisual
    forward, calls = backbone.forward_trunk, []

    def third_is_interrupted(self, images):
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return forward(self, images)

    monkeypatch.setattr(trunk, 'SECONDS', 0)
    monkeypatch.setattr(backbone, 'forward_trunk', third_is_interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config, 'stopped')
    kept = list((tmp_path / 'cache' / 'features').glob('*/*.safetensors'))
    assert [len(load_file(path)['rows']) for path in kept] == [8, 8]


def test_visualization_falls_back_to_images(tiny_config, monkeypatch):
    runner = train(tiny_config, 'run')
    cfg = copy.deepcopy(tiny_config)
    cfg.default_hooks.visualization.update(enable=True, interval=100)
    cfg.load_from = f'{runner.work_dir}/epoch_2.pth'
    shapes = []
    original = OpenCLIPVisual.forward
    monkeypatch.setattr(
        OpenCLIPVisual, 'forward', lambda self, x: shapes.append(x.ndim) or original(self, x)
    )
    shown = Runner.from_cfg(cfg).test()
    assert set(shapes) == {4}
    shapes.clear()
    cfg.default_hooks.visualization.enable = False
    assert Runner.from_cfg(cfg).test() == shown
    assert set(shapes) == {2}


def test_weights_that_are_damaged_are_told_before_training(tiny_config):
    model = MODELS.build(tiny_config.model)
    model.init_weights()
    model.backbone.visual.proj.data[0, 0] = torch.nan
    with refused('features.not_finite', match='24 images'):
        image_embeddings(model, Runner.build_dataloader(tiny_config.train_dataloader))


def test_leaves_and_samples_of_wrapped_datasets(tiny_config):
    images = tiny_config.train_dataloader.dataset
    wrapped = DATASETS.build(
        dict(
            type='ConcatDataset',
            datasets=[
                dict(type='ClassBalancedDataset', oversample_thr=0.5, dataset=images),
                dict(images, indices=5),
            ],
        )
    )
    assert len(leaf_datasets(wrapped)) == 2
    assert len(wrapped) == 3 * 8 * 2 + 5  # each class is a third of the images: shown twice
    assert len(list(iter_infos(wrapped))) == 24
    folds = DATASETS.build(dict(type='KFoldDataset', dataset=images, num_splits=4, seed=0))
    assert len(list(iter_infos(folds))) == 18


def test_different_pipelines_are_refused(tiny_config):
    images = tiny_config.train_dataloader.dataset
    other = copy.deepcopy(images)
    other.pipeline[1].scale = 40
    tiny_config.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[images, other])
    with pytest.raises(InputError, match='different pipelines'):
        train(tiny_config, 'two')


def test_processes_that_share_no_cache_are_told_so(tiny_config, monkeypatch):
    monkeypatch.setattr('mmpretrain_lmmreg.features.trunk.get_dist_info', lambda: (0, 2))
    with refused('features.not_shared', match='LMMREG_CACHE'):
        train(tiny_config, 'alone')
