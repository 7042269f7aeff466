"""Several views of each image in the feature table, drawn by random transforms."""

import numpy as np
import pytest
import torch
from features.running import train
from refused import refused

from mmpretrain_lmmreg.features import trunk
from mmpretrain_lmmreg.features.images import ImagesOf, drawn_by

RANDOM = dict(type='RandomResizedCrop', scale=32, crop_ratio_range=(0.5, 1.0))


@pytest.fixture
def augmented(tiny_config):
    """The config with a random crop in the training pipeline."""
    pipeline = tiny_config.train_dataloader.dataset.pipeline
    pipeline.insert(len(pipeline) - 1, RANDOM)
    pipeline.insert(len(pipeline) - 1, dict(type='RandomFlip', prob=0.5))
    return tiny_config


def weights(runner):
    return {k: v.clone() for k, v in runner.model.state_dict().items()}


def test_views_of_fixed_transforms_train_the_same_weights(tiny_config):
    one, three = (
        weights(train(tiny_config, f'{views}', **{'train_cfg.views': views})) for views in (1, 3)
    )
    assert all(torch.equal(one[name], three[name]) for name in one)


def test_an_epoch_a_view_in_turn(augmented):
    runner = train(augmented, 'views', **{'train_cfg.views': 2, 'train_cfg.max_epochs': 3})
    data = runner.train_loop.dataloader.dataset
    assert data.view == 0 and len(data.features) == 2 * data.images == 2 * len(data)
    seen = []
    for data.view in (0, 1):
        seen.append(data[3]['inputs'])
    assert not torch.equal(*seen)
    images = ImagesOf(data.source, [data.source.get_data_info(3)['img_path']], 'view 1')
    batch = runner.model.data_preprocessor(dict(inputs=[images[0][1]]))
    torch.testing.assert_close(runner.model.backbone.forward_trunk(batch['inputs']), seen[1])


def test_another_run_and_a_resumed_one_see_the_same_views(augmented, monkeypatch):
    options = {'train_cfg.views': 2, 'train_cfg.max_epochs': 3}
    straight = train(augmented, 'straight', **options)
    monkeypatch.setattr(trunk, 'compute', None)  # everything is in the table
    train(augmented, 'stopped', **{**options, 'train_cfg.max_epochs': 1})
    resumed = train(augmented, 'stopped', resume=True, **options)
    ours, theirs = weights(straight), weights(resumed)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_view_is_drawn_by_its_name_alone(monkeypatch):
    drawn = []
    monkeypatch.setattr(torch.cuda, 'manual_seed_all', None)  # GPUs' numbers are not touched
    for before in (1, 2):
        np.random.seed(before)
        state = np.random.get_state()[1].copy()
        with drawn_by('view 0/a.jpg'):
            drawn.append((np.random.rand(), torch.rand(1).item()))
        assert np.array_equal(np.random.get_state()[1], state)
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize('views', [0, 1.5, '2'])
def test_a_number_of_views_that_is_none(tiny_config, views):
    with refused('features.bad_views'):
        train(tiny_config, 'bad', **{'train_cfg.views': views})
