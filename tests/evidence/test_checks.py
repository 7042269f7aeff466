import copy
from pathlib import Path

import pytest
from mmengine.runner import Runner
from refused import refused

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def train(cfg):
    Runner.from_cfg(cfg).train()


def test_image_in_train_and_test(tiny_config):
    test = tiny_config.test_dataloader.dataset
    tiny_config.train_dataloader.dataset.data_prefix = 'test'
    with refused('hooks.images_in_two_splits', match="val list, the first is '.*test/blue/0.png'"):
        train(tiny_config)
    tiny_config.val_dataloader = tiny_config.val_cfg = tiny_config.val_evaluator = None
    assert test.data_prefix == 'test'
    with refused('hooks.images_in_two_splits', match='test list'):
        train(tiny_config)


@pytest.mark.parametrize(
    ('options', 'name'),
    [
        ({'default_hooks.checkpoint.save_best': 'auto'}, r"save_best=\['auto'\]"),
        (
            {'custom_hooks': [dict(type='EarlyStoppingHook', monitor='accuracy/top1')]},
            'EarlyStoppingHook',
        ),
    ],
)
def test_choosing_by_test_images(tiny_config, options, name):
    tiny_config.merge_from_dict(options)
    with refused('hooks.choice_by_test', match=name):
        train(tiny_config)


def test_choosing_by_a_validation_list_is_allowed(tiny_config):
    tiny_config.merge_from_dict({'default_hooks.checkpoint.save_best': 'auto'})
    images = tiny_config.train_dataloader.dataset
    tiny_config.val_dataloader.dataset = dict(
        copy.deepcopy(tiny_config.test_dataloader.dataset),
        data_prefix='train',
        indices=list(range(0, 24, 4)),
    )
    images.indices = [i for i in range(24) if i % 4]
    train(tiny_config)


def test_invalid_loss_names_the_files(tiny_config):
    tiny_config.optim_wrapper.optimizer.lr = float('inf')
    with refused(
        'hooks.loss_not_finite', match=r'iteration 2(.|\n)*/train/(red|green|blue)/\d.png'
    ):
        train(tiny_config)


def test_checkpoint_of_the_same_classes_in_another_order(tiny_config):
    train(tiny_config)
    cfg = copy.deepcopy(tiny_config)
    cfg.load_from = f'{cfg.work_dir}/epoch_2.pth'
    Runner.from_cfg(cfg).test()
    names = dict(classes=['green', 'red', 'blue'])
    cfg.test_dataloader.dataset.metainfo = names
    with refused('data.moved_classes', match='epoch_2.pth: .*blue'):
        Runner.from_cfg(cfg).test()
    cfg.resume, cfg.train_dataloader.dataset.metainfo = True, names
    with refused('data.moved_classes'):
        Runner.from_cfg(cfg).train()
    cfg.resume = False  # weights to start from may be of any classes
    Runner.from_cfg(cfg).train()
