"""configs/lmmreg_custom.py: from a folder of pictures to a trained model, and its mistakes."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from smoke.tiny import write_model

from mmpretrain_lmmreg import launch

CHILD = """\
_base_ = '{{$LMMREG_CONFIGS:configs}}/lmmreg_custom.py'
model = dict(
    backbone=dict(model_name='local-dir:{{ fileDirname }}/model', pretrained=None),
    head=dict(in_channels=16))
train_dataloader = dict(batch_size=8, num_workers=0)
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
train_cfg = dict(max_epochs=1)
"""


@pytest.fixture
def own(tmp_path, pictures, monkeypatch):
    """A copy of ``pictures`` that a test may spoil, with its config beside it."""
    for name in ('LMMREG_CONFIGS', 'CUSTOM_LIST', 'RANK', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '')  # so that it is restored, whatever sets it in between
        monkeypatch.delenv(name)
    monkeypatch.setenv('CUSTOM_ROOT', str(tmp_path / 'pictures'))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures, tmp_path / 'pictures')
    write_model(tmp_path / 'model')
    (tmp_path / 'own.py').write_text(CHILD)
    return tmp_path / 'pictures'


def train(monkeypatch, *options: str) -> None:
    monkeypatch.setattr(sys, 'argv', ['train.py', 'own.py', '--work-dir', 'run', *options])
    launch.run_tool(launch.train)


def test_described_pictures(own, monkeypatch, capfd):
    train(
        monkeypatch,
        '--cfg-options',
        'train_dataloader.dataset.shots=5',
        'default_hooks.class_weights.type=ClassWeightHook',
    )
    printed = capfd.readouterr()
    assert '15 of 15 training images have descriptions' in printed.out + printed.err
    assert 'class weights: 1, 1, 1' in printed.out + printed.err
    assert '15 training, 12 validation and 12 test images (the val' in printed.out + printed.err
    assert '; 3 classes: blue, green, red' in printed.out + printed.err
    checkpoint = torch.load('run/epoch_1.pth', weights_only=False)
    assert checkpoint['meta']['dataset_meta']['classes'] == ('blue', 'green', 'red')
    monkeypatch.delenv('CUSTOM_ROOT')
    shutil.rmtree(own)  # the trained run's own config needs no images to be read
    assert Config.fromfile('run/own.py').model.head.num_classes == 3


def test_pictures_without_descriptions_say_so(own, monkeypatch, capfd):
    (own / 'descriptions.jsonl').unlink()
    train(monkeypatch)
    printed = capfd.readouterr()
    assert 'class means are those of prompts with the class names' in printed.out + printed.err
    means = torch.load('run/epoch_1.pth', weights_only=False)['state_dict']['head.class_means']
    assert len({tuple(mean) for mean in means.tolist()}) == 3


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ('model.head.alhpa=0.1', "unexpected keyword argument 'alhpa'"),
        ('default_hooks.class_means.shufled=True', "unexpected keyword argument 'shufled'"),
        ('train_cfg.max_epoch=3', "unexpected keyword argument 'max_epoch'"),
        ('train_cfg.max_epochs=three', "'three'"),
        ('model.head.in_channels=32', 'have D=16, the head says in_channels=32: set model'),
    ],
)
def test_misspelt_settings_are_one_message(own, monkeypatch, capfd, option, words):
    with pytest.raises(SystemExit) as exit_:
        train(monkeypatch, '--cfg-options', option)
    message = capfd.readouterr().err.partition('error: ')[2]
    assert exit_.value.code == 2 and words in message and 'Traceback' not in message, message


def lose_images(own: Path) -> None:
    for split in ('train', 'test'):
        shutil.rmtree(own / split)


def keep_one_class(own: Path) -> None:
    for path in own.glob('*/*'):
        if path.name != 'red':
            shutil.rmtree(path)


def add_untrained_class(own: Path) -> None:
    (own / 'train' / 'red').rename(own / 'train' / 'pink')


def differ_in_case(own: Path) -> None:
    shutil.copytree(own / 'train' / 'red', own / 'train' / 'Red')


def break_images(own: Path) -> None:
    (own / 'train' / 'red' / '3.png').write_bytes(b'not an image')
    (own / 'test' / 'blue' / '1.png').write_bytes(b'')


def list_of(*lines: str):
    def write(own: Path) -> None:
        (own / 'list.csv').write_text('\n'.join(['path,label', *lines]) + '\n')

    return write


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (lose_images, ['no images in', 'pictures', 'folder of its own']),
        (keep_one_class, ["only one class, 'red'"]),
        (add_untrained_class, ['classes in test that train lacks: red']),
        (differ_in_case, ["labels 'Red', 'red' differ only in case"]),
        (break_images, ['1 of 24 images cannot be read', 'train/red/3.png']),
        (list_of('train/red/0.png,red', 'train/blue/0.png,'), ['list.csv: no label in line 3']),
        (list_of('train/red/0.png,red', '../x.png,blue'), ['line 3', 'outside of the data root']),
        (list_of('train/red/0.png,red', 'train/red/1.png,red|blue'), ['line 3', 'Multi-label']),
        (
            list_of(*(f'train/{c}/{i}.png,{c}' for c in ('red', 'blue') for i in range(9))),
            ['2 of 14 images are missing', 'train/red/8.png'],
        ),
    ],
    ids=lambda value: getattr(value, '__name__', None),
)
def test_mistakes_are_one_message(own, monkeypatch, capfd, spoil, words):
    spoil(own)
    if (own / 'list.csv').exists():
        monkeypatch.setenv('CUSTOM_LIST', 'list.csv')
    with pytest.raises(SystemExit) as exit_:
        train(monkeypatch)
    assert exit_.value.code == 2
    message = capfd.readouterr().err.partition('error: ')[2]
    assert all(word in message for word in words) and 'Traceback' not in message, message
