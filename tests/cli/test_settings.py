"""Settings that nothing reads are refused, with the right name."""

import pytest
from mmengine.config import Config
from mmpretrain.registry import MODELS

from mmpretrain_lmmreg.cli.settings import hint_of, key_problems
from mmpretrain_lmmreg.config import config_folder, load_config, method_file
from mmpretrain_lmmreg.heads import ClassMeanRegHead


@pytest.mark.parametrize('path', sorted(config_folder().glob('lmmreg_[bdeu]*.py')), ids=str)
def test_the_configs_that_come_along_pass(path):
    assert key_problems(Config.fromfile(path)) == []
    assert key_problems(load_config(method_file('labo'), path)) == []


@pytest.mark.parametrize('key', ['my_pipeline', 'names', 'img_size', 'train_loader', 'lr'])
def test_helper_variables_are_a_users_own(key):
    assert key_problems(Config({key: 1, 'model': {}})) == []


@pytest.mark.parametrize(
    ('key', 'meant'),
    [
        ('modle', 'model'),
        ('train_dataloder', 'train_dataloader'),
        ('optim_wraper', 'optim_wrapper'),
        ('mehtod', 'method'),
        ('randomnes', 'randomness'),
    ],
)
def test_near_misses_in_a_file_are_named(key, meant):
    (line,) = key_problems(Config({key: {}}))
    assert line.endswith(f'sets {key}, which nothing reads; did you mean {meant}?')


def test_options_of_the_command_line():
    cfg = Config(dict(model=dict(head=dict(alpha=1)), my_size=3))
    assert not key_problems(cfg, ['model.head.alpha', 'my_size', 'resume', 'auto_scale_lr.enable'])
    assert key_problems(cfg, ['modle.head.alpha', 'my_sise', 'entirely_else']) == [
        '--cfg-options modle.head.alpha: the config has no modle; did you mean model.head.alpha?',
        '--cfg-options my_sise: the config has no my_sise; did you mean my_size?',
        '--cfg-options entirely_else: the config has no entirely_else',
    ]


def test_hints_for_misspelt_arguments_and_types():
    with pytest.raises(TypeError) as error:
        MODELS.build(dict(type='ClassMeanRegHead', num_classes=2, in_channels=4, alhpa=1))
    assert hint_of(str(error.value), ClassMeanRegHead) == "; did you mean 'alpha'?"
    with pytest.raises(KeyError) as error:
        MODELS.build(dict(type='ClassMeanRegHed'))
    assert hint_of(error.value.args[0], '') == " Did you mean 'ClassMeanRegHead'?"
    assert hint_of('division by zero', ClassMeanRegHead) == ''
