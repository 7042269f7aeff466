"""Wrong settings are named before anything starts, all in one message."""

import sys
from typing import Any

import pytest
from mmengine.config import Config

from mmpretrain_lmmreg.cli import upstream
from mmpretrain_lmmreg.cli.linter import _fits, check_settings, setting_problems
from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.config import config_folder, load_config, method_file
from mmpretrain_lmmreg.errors import InputError

DEMO = config_folder() / 'lmmreg_demo.py'
NAN = float('nan')
HEAD, DATA, HOOKS = 'model.head.', 'train_dataloader.dataset.', 'default_hooks.'


pytestmark = pytest.mark.usefixtures('drawn_once')


def problems(options: dict, method: str | None = None) -> list[tuple[str, str]]:
    cfg = load_config(method_file(method), DEMO) if method else Config.fromfile(DEMO)
    cfg.merge_from_dict(options)
    return setting_problems(cfg)


@pytest.mark.parametrize(
    ('key', 'value', 'expected'),
    [
        (HEAD + 'alpha', NAN, 'finite, not nan'),
        (HEAD + 'alpha', None, 'float, not None'),
        (HEAD + 'normalize', 'maybe', "bool, not 'maybe'"),
        (HOOKS + 'class_means.templates', 'a {}', "Sequence[str] | None, not 'a {}'"),
        (HOOKS + 'checkpoint.interval', 0, 'a whole number, at least 1 or -1, not 0'),
        (DATA + 'shots', 1.5, 'int | None, not 1.5'),
        ('train_cfg.max_epochs', 0, 'a whole number, at least 1, not 0'),
        ('train_cfg.max_epochs', 1.5, 'int, not 1.5'),
        ('train_dataloader.num_workers', 'two', "a whole number, at least 0, not 'two'"),
        ('randomness.seed', 'abc', "a whole number, at least 0, not 'abc'"),
        ('val_evaluator.topk', 9, 'from 1 to the 6 classes, not 9'),
        ('optim_wrapper.optimizer.lr', 'fast', "float | Tensor, not 'fast'"),
        ('optim_wrapper.clip_grad', 3, 'Optional[dict], not 3'),
        ('resume', 'maybe', "bool, not 'maybe'"),
        ('train_dataloader', 3, 'Union[DataLoader, Dict, NoneType], not 3'),
        ('log_level', 'LOUD', "one of CRITICAL, ERROR, WARNING, INFO, DEBUG, NOTSET, not 'LOUD'"),
    ],
)
def test_values(key, value, expected):
    assert (key, f'must be {expected}') in problems({key: value})


@pytest.mark.parametrize(
    ('key', 'near'),
    [
        (HEAD + 'alhpa', 'ClassMeanRegHead; did you mean alpha?'),
        (HEAD + 'cal_ac', 'ClassMeanRegHead; did you mean cal_acc?'),  # of mmpretrain's ClsHead
        ('model.haed', 'ImageClassifier'),
        (HOOKS + 'checkpoint.intervall', 'AtomicCheckpointHook; did you mean interval?'),
        ('train_dataloader.sampler.shufle', 'DefaultSampler; did you mean shuffle?'),
        ('train_dataloader.batchsize', 'DataLoader; did you mean batch_size?'),
        ('optim_wrapper.optimizer.lrr', 'Adam; did you mean lr?'),
        ('optim_wrapper.clip_grad.max_norms', 'clip_grad_norm_; did you mean max_norm?'),
        ('randomness.sed', 'set_randomness; did you mean seed?'),
        ('val_evaluator.topkk', 'Accuracy; did you mean topk?'),
    ],
)
def test_names(key, near):
    assert problems({key: 1}) == [(key, f'is not a setting of {near}')]


@pytest.mark.parametrize(
    ('key', 'value', 'near'),
    [
        ('optim_wrapper.optimizer', 'Adm', 'Adam'),
        ('model.head', 'ClassMeanRegHed', 'ClassMeanRegHead'),
        ('train_dataloader.dataset.pipeline.0', 'LoadPictur', 'LoadPicture'),
    ],
)
def test_types(key, value, near):
    found = problems({f'{key}.type': value})
    assert found == [
        (f'{key}.type', f'is {value!r}, which nothing is called; did you mean {near}?')
    ]


@pytest.mark.parametrize(
    ('method', 'key', 'value', 'expected'),
    [
        (None, 'optim_wrapper.optimizer.lr', -1, 'Invalid learning rate: -1'),
        (None, HEAD + 'alpha', -1, 'alpha=-1 must be at least 0'),
        (None, HEAD + 'fc_init', 'zero', "fc_init='zero' is unknown"),
        (None, DATA + 'split', 'trian', "split='trian' is unknown; choose one of 'train', 'val'"),
        ('labo', HEAD + 'concepts_per_class', 0, 'concepts_per_class=0 must be at least 1'),
        ('wise_ft', HEAD + 'mix', 2, 'mix=2 must be between 0 and 1'),
        ('logreg', HEAD + 'C', 0, 'C=0 must be at least 1e-12'),
        ('coop', HEAD + 'length', 0, 'length=0 must be at least 1'),
        ('l2_sp', 'model.l2_sp', -1, 'l2_sp=-1 must be at least 0'),
        ('mean_start', HEAD + 'images', 'x', "images='x' is unknown"),
    ],
)
def test_ranges_are_the_components_own(method, key, value, expected):
    ((where, text),) = problems({key: value}, method)
    assert where == key.rpartition('.')[0]
    assert text.startswith('is refused: ') and expected in text


def test_a_hook_that_is_misspelt_in_a_child_config():
    text = 'has no type, and none of this name is inherited; did you mean checkpoint?'
    assert problems({'default_hooks.chekpoint.interval': 2}) == [('default_hooks.chekpoint', text)]


def test_other_components_options_are_left_alone():
    """What hands its ``**kwargs`` elsewhere may take anything but a near miss."""
    head = dict(
        type='LinearClsHead', num_classes=3, in_channels=4, loss=dict(type='LabelSmoothLoss')
    )
    backbone = dict(type='TIMMBackbone', model_name='resnet18', drop_path_rate=0.1)
    model = dict(_delete_=True, type='ImageClassifier', backbone=backbone, head=head)
    hooks = [dict(type='EMAHook', momentum=1e-4, priority='ABOVE_NORMAL')]
    options = {
        'model': model,
        'custom_hooks': hooks,
        'val_evaluator': [dict(type='Accuracy', topk=(1, 3)), dict(type='ConfusionMatrix')],
        'param_scheduler': [dict(type='CosineAnnealingLR', T_max=3, convert_to_iter_based=True)],
        'optim_wrapper.paramwise_cfg': dict(norm_decay_mult=0.0),
        'optim_wrapper.optimizer': dict(
            _delete_=True, type='SGD', lr=0.1, momentum=0.9, nesterov=True
        ),
    }
    assert problems(options) == []


LAZY = """
from mmengine.dataset import DefaultSampler
from mmengine.hooks import CheckpointHook
from mmpretrain.models import ImageClassifier
from torch.optim import Adam
from mmpretrain_lmmreg.clip import OpenCLIPVisual
from mmpretrain_lmmreg.heads import ClassMeanRegHead

model = dict(
    type=ImageClassifier,
    backbone=dict(type=OpenCLIPVisual, model_name='demo-clip', pretrained='demo'),
    head=dict(type=ClassMeanRegHead, num_classes=6, in_channels=64),
)
train_dataloader = dict(batch_size=8, sampler=dict(type=DefaultSampler, shuffle=True))
optim_wrapper = dict(optimizer=dict(type=Adam, lr=1e-3))
default_hooks = dict(checkpoint=dict(type=CheckpointHook, interval=1))
"""


def test_lazy_configs(tmp_path):
    path = tmp_path / 'lazy.py'
    path.write_text(LAZY)
    assert setting_problems(Config.fromfile(path)) == []
    cfg = Config.fromfile(path)
    cfg.merge_from_dict({'model.head.alpha': 'abc', 'optim_wrapper.optimizer.lrr': 1})
    cfg.merge_from_dict({'default_hooks.checkpoint.intervall': 1})
    assert [key for key, _ in setting_problems(cfg)] == [
        'model.head.alpha',
        'optim_wrapper.optimizer.lrr',
        'default_hooks.checkpoint.intervall',
    ]


def test_file_and_command_line_are_told_apart():
    cfg = Config.fromfile(DEMO)
    cfg.merge_from_dict({'model.head.alpha': -1, 'randomness.sed': 1, 'train_cfg.max_epochs': 0})
    with pytest.raises(InputError) as error:
        check_settings(cfg, ['model.head.alpha', 'randomness.sed'])
    assert str(error.value).splitlines() == [
        '--cfg-options: model.head is refused: alpha=-1 must be at least 0',
        '--cfg-options: randomness.sed is not a setting of set_randomness; did you mean seed?',
        f'{DEMO}: train_cfg.max_epochs must be a whole number, at least 1, not 0',
    ]


def test_the_command_lists_them_before_it_makes_a_work_folder(tmp_path, monkeypatch, capsys):
    options = ['modle.head.alpha=1', 'model.head.alpha=abc', 'optim_wrapper.optimizer.type=Adm']
    work_dir = tmp_path / 'run'
    monkeypatch.setattr(
        sys,
        'argv',
        ['train.py', str(DEMO), '--work-dir', str(work_dir), '--cfg-options', *options],
    )
    with pytest.raises(SystemExit, match='2'):
        run_tool(upstream.train)
    lines = [line for line in capsys.readouterr().err.splitlines() if '--cfg-options' in line]
    assert [line.split()[1 + line.startswith('error: ')] for line in lines] == [
        'modle',
        'model.head.alpha',
        'optim_wrapper.optimizer.type',
    ]
    assert not work_dir.exists()


def test_an_argument_without_a_hint_may_be_anything():
    assert _fits(6, Any) and _fits([1], list) and not _fits('6', int)
