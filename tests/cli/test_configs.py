"""Every config, and every method on every data set, loads, and its model and hooks are built."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import HOOKS, LOOPS, MODELS, TRANSFORMS
from refused import refused

from mmpretrain_lmmreg.cli.linter import setting_problems
from mmpretrain_lmmreg.config import ON, load_config, method_file, put_on, work_dir_of

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
DATA = sorted(CONFIGS.glob('*.py'))
METHODS = sorted((CONFIGS / 'methods').glob('*.py'))
pytestmark = pytest.mark.usefixtures('drawn_once')
OTHER = """\
_base_ = '{{$LMMREG_CONFIGS:configs}}/lmmreg_demo.py'
templates = ['a drawing of {}.']
sentences = 'mine.json'
flip = dict(type='RandomFlip', prob=0.5)
train_dataloader = dict(dataset=dict(pipeline=[flip, *_base_.train_pipeline]))
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch, pictures):
    monkeypatch.setenv('LMMREG_CONFIGS', str(CONFIGS))
    monkeypatch.setenv('CUSTOM_ROOT', str(pictures))
    monkeypatch.delenv(ON, raising=False)


@pytest.fixture
def other(tmp_path) -> Path:
    """A config of a person's own, elsewhere."""
    path = tmp_path / 'my_flowers.py'
    path.write_text(OTHER)
    return path


def check(cfg: Config) -> None:
    assert cfg.protocol and cfg.randomness.seed == 0
    assert setting_problems(cfg) == []
    for hook in cfg.default_hooks.values():
        if hook.type != 'VisualizationHook':  # which wants a running Runner
            HOOKS.build(hook)
    assert LOOPS.get(cfg.train_cfg.type)
    for part in ('train', 'test'):
        for transform in cfg[f'{part}_dataloader'].dataset.pipeline:
            TRANSFORMS.build(transform)
    held_out = cfg.val_dataloader.dataset.get('val_fraction', 0)
    assert held_out or cfg.val_dataloader.dataset == cfg.test_dataloader.dataset
    with torch.device('meta'):
        assert MODELS.build(cfg.model.head).num_classes == cfg.model.head.num_classes


@pytest.mark.parametrize('path', [*DATA, *METHODS], ids=lambda path: path.stem)
def test_config_by_itself(path):
    cfg = Config.fromfile(path)
    assert cfg.method == ('lmmreg' if path in DATA else path.stem)
    command = path.read_text().split('python tools/train.py ')[1].split('\n')[0]
    on = '' if path in DATA else ' --on configs/lmmreg_bar.py'
    assert command == f'configs/{path.relative_to(CONFIGS).as_posix()}{on}'
    check(cfg)


ALONE = """\
import os, sys
for path in sys.argv[1:]:
    child = os.fork()  # each in a process that has imported nothing but mmengine's reader
    if not child:
        cfg = Config.fromfile(path, import_custom_modules=False)
        heavy = {'mmpretrain', 'open_clip', 'torchvision', 'mmcv'} & set(sys.modules)
        assert cfg.method and not heavy, (path, heavy)
        os._exit(0)
    assert os.wait()[1] == 0, path
"""


def test_reading_a_config_imports_no_library(pictures):
    """What a config calls while it is read is light: custom_imports come afterwards."""
    code = 'from mmengine.config import Config\n' + ALONE
    files = map(str, (*DATA, *METHODS))
    done = subprocess.run(
        [sys.executable, '-c', code, *files], capture_output=True, text=True, cwd=CONFIGS.parent
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ('path', 'on'),
    [(method, DATA[i % len(DATA)]) for i, method in enumerate(METHODS)],
    ids=lambda path: path.stem,
)
def test_method_on_data(path, on):
    cfg, data = load_config(path, on), Config.fromfile(on)
    assert cfg.method == path.stem
    for part in ('train', 'val', 'test'):
        found, expected = (c[f'{part}_dataloader'].dataset for c in (cfg, data))
        assert dict(found, pipeline=None) == dict(expected, pipeline=None)
    assert cfg.model.head.num_classes == data.model.head.num_classes
    of_trunk = cfg.model.backbone.get('output') == 'trunk'  # whose width is found out when fitted
    assert cfg.model.head.in_channels == (None if of_trunk else data.model.head.in_channels)
    assert cfg.model.backbone.model_name == data.model.backbone.model_name
    check(cfg)


def types(loader) -> list[str]:
    return [transform.type for transform in loader.dataset.pipeline]


def test_methods_take_from_the_data_what_they_need(other):
    assert load_config(method_file('gda'), other).templates == ['a drawing of {}.']
    labo = load_config(method_file('labo'), other)
    assert (labo.model.head.sentences, labo.optim_wrapper.optimizer.lr) == ('mine.json', 2.5e-3)
    assert 'LLM sentences' in labo.protocol
    cocoop = load_config(method_file('cocoop'), other).model.head
    assert (cocoop.width, cocoop.length, cocoop.words) == (48, 5, 'a photo of a person')


def test_the_control_that_was_told_the_class_reads_other_replies(other):
    named = load_config(method_file('lmmreg_named'), other)
    attach = named.train_dataloader.dataset.pipeline[-2]
    assert attach == dict(type='AttachDescriptions', missing='warn', named=True)
    assert 'told the class (control)' in named.protocol


def test_methods_keep_the_datas_own_pipelines(other):
    pixels = ['LoadPicture', 'ResizeEdge', 'CenterCrop']
    finetune = load_config(method_file('finetune'), other)
    assert types(finetune.train_dataloader) == ['RandomFlip', *pixels, 'PackInputs']
    both = load_config(method_file('image_text'), other)
    assert types(both.train_dataloader)[0] == 'RandomFlip'
    assert types(both.test_dataloader) == [*pixels, 'AttachDescriptions', 'PackInputs']


def test_variable_is_set_inside_only(monkeypatch):
    with put_on('x.py'):
        assert os.environ[ON] == str(Path.cwd() / 'x.py')
    assert ON not in os.environ
    monkeypatch.setenv(ON, 'before.py')
    with put_on('x.py'), put_on(None):
        assert os.environ[ON].endswith('/x.py')
    assert os.environ[ON] == 'before.py'


@pytest.mark.parametrize(
    'text',
    [
        'a = b',
        'a = 1 / 0',
        "_base_ = 'y.py'",
        'a = {{_base_.b}}',
        'é',
    ],
)
def test_a_config_that_fails_is_named(tmp_path, text):
    (path := tmp_path / 'x.py').write_text(text, 'latin-1')
    with refused('config.unreadable', match='x.py'):
        load_config(path)


def test_mistakes(other, tmp_path):
    with refused('config.missing'):
        load_config(method_file('gda'), 'lost.py')
    with refused('config.not_a_method'):
        load_config(CONFIGS / 'lmmreg_era.py', other)
    with refused('config.on_is_method'):
        load_config(method_file('gda'), method_file('logreg'))
    lone = tmp_path / 'lone.py'
    lone.write_text('model = dict(head=dict(num_classes=2, in_channels=3))')
    with refused('config.on_unfit', match='lone.py.*train_dataloader'):
        load_config(method_file('gda'), lone)
    with refused('config.no_method', match='clip_a_self, clip_svd, cocoop.*zero_shot'):
        method_file('dga')


AWKWARD = ("Ann's", 'a"b', 'back\\new', '{{x}}', 'line\nfeed', 'é\t$HOME%d')


@pytest.mark.parametrize('name', AWKWARD)
def test_names_of_folders_are_no_python(name, other, tmp_path, pictures, monkeypatch):
    """Roots, lists and --on may have any name; the written config reads alike."""
    root = tmp_path / name
    root.symlink_to(pictures)
    for variable in ('CUSTOM_ROOT', 'BAR_ROOT', 'ERA_ROOT', 'UCF101_ROOT', 'UCF101_SENTENCES'):
        monkeypatch.setenv(variable, str(root))
    for data in ('custom', 'bar', 'era', 'ucf101'):
        cfg = load_config(CONFIGS / f'lmmreg_{data}.py')
        assert cfg.train_dataloader.dataset.data_root == str(root)
        cfg.dump(tmp_path / 'dumped.py')
        assert load_config(tmp_path / 'dumped.py').to_dict() == cfg.to_dict()
    assert cfg.sentences == str(root)
    folder = tmp_path / 'configs' / name
    folder.mkdir(parents=True)
    there = other.rename(folder / f'{name}.py')
    assert load_config(method_file('gda'), there).templates == ['a drawing of {}.']
    monkeypatch.setenv(ON, str(there))
    cfg = Config.fromfile(method_file('gda'))  # as mmpretrain's own tools read it
    assert cfg.templates == ['a drawing of {}.']


def test_names_that_mmengine_would_replace_are_refused(pictures, tmp_path, monkeypatch):
    for name in ('{{ fileDirname }}', '{{$HOME:x}}', '{{_base_.model}}'):
        (tmp_path / name).symlink_to(pictures)
        monkeypatch.setenv('CUSTOM_ROOT', str(tmp_path / name))
        with refused('config.braces', match='data_root='):
            load_config(CONFIGS / 'lmmreg_custom.py')
    (tmp_path / 'a::b').mkdir()
    on = tmp_path / 'a::b' / 'on.py'
    on.write_text(OTHER)
    with refused('config.unreadable', match='a::b'):
        load_config(method_file('gda'), on)


@pytest.mark.parametrize('name', AWKWARD)
def test_what_mmengine_pastes_works_or_is_named(name, tmp_path, monkeypatch):
    """``{{$LMMREG_CONFIGS:configs}}`` and ``{{ fileDirname }}`` become a part of Python text."""
    (folder := tmp_path / name).mkdir()
    (folder / 'configs').symlink_to(CONFIGS)
    monkeypatch.setenv('LMMREG_CONFIGS', str(folder / 'configs'))
    here = "_base_ = '{{ fileDirname }}/configs/lmmreg_demo.py'\nmethod = 'x'\n"
    for pasted, text in (('LMMREG_CONFIGS', OTHER), ('fileDirname', here)):
        (folder / 'pasted.py').write_text(text)
        if set(name) & set("'\\\n"):  # ends the text, or stands for something else in it
            with refused('config.unreadable', match=rf'(?s)pasted\.py.*pastes \$?{pasted} into'):
                load_config(folder / 'pasted.py')
        else:
            assert load_config(folder / 'pasted.py').train_pipeline
    by_hand = OTHER.replace(
        "'{{$LMMREG_CONFIGS:configs}}/", "__import__('os').environ['LMMREG_CONFIGS'] + '/"
    )
    (folder / 'by_hand.py').write_text(by_hand)
    assert load_config(folder / 'by_hand.py').templates == ['a drawing of {}.']


def test_work_folders(other, monkeypatch):
    gda = method_file('gda')
    for on, folder in (
        (other, 'gda_my_flowers'),
        (CONFIGS / 'lmmreg_bar.py', 'gda_bar'),
        (None, 'gda_demo'),
    ):
        assert work_dir_of(load_config(gda, on), gda) == f'work_dirs/{folder}'
    assert work_dir_of(load_config(other), str(other)) is None
    monkeypatch.setenv(ON, str(other))  # as for mmpretrain's own tools
    assert work_dir_of(load_config(gda), gda) == 'work_dirs/gda_my_flowers'
