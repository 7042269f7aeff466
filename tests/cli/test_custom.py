"""configs/lmmreg_custom.py: from a folder of pictures to a trained model, and its mistakes."""

import json
import os
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmpretrain_lmmreg.cli import export, predict, upstream
from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.config import method_file
from mmpretrain_lmmreg.evidence.runs import load_methods
from mmpretrain_lmmreg.hooks.run_folder import load_run

from .conftest import CHILD, train

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


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


def test_the_epoch_is_chosen_on_held_out_training_images(own, monkeypatch, capfd):
    text = CHILD.replace('lmmreg_custom.py', 'lmmreg_custom_val.py').replace('s=1)', 's=3)')
    Path('own.py').write_text(text)
    train(monkeypatch)
    printed = capfd.readouterr()
    assert '18 training, 6 validation and 12 test images' in printed.out + printed.err
    (best,) = Path('run').glob('best_accuracy_top1_epoch_*.pth')
    curve = {e['epoch']: e['accuracy'] for e in load_run('run')['epochs']}
    assert curve[int(best.stem.rpartition('_')[2])] == max(curve.values()) and len(curve) == 3
    monkeypatch.setattr(sys, 'argv', ['test.py', 'own.py', str(best), '--work-dir', 'run'])
    run_tool(upstream.test)
    assert {split.partition('@')[0] for split in load_run('run')['splits']} == {'val', 'test'}
    export.run(export.parser().parse_args(['own.py', str(best), 'exported']))
    assert 'fitted on 6 validation images' in capfd.readouterr().out


@pytest.mark.slow
def test_methods_are_swept_on_own_pictures(own, monkeypatch, capfd):
    names = ['finetune', 'gda', 'wise_ft', 'image_text', 'labo']
    argv = ['sweep.py', 'own.py', '--out', 'swept', '--methods']
    monkeypatch.setattr(sys, 'argv', [*argv, *names, '--grid', 'gda:model.head.alpha=1,10'])
    runpy.run_path(str(TOOLS / 'sweep.py'), run_name='__main__')
    methods = {method.name: method for method in load_methods(['swept'])}
    assert list(methods) == ['lmmreg', 'finetune', 'gda [alpha=1]', 'gda [alpha=10]', *names[2:]]
    heads = [m.first.record['settings']['model.head.type'] for m in methods.values()]
    assert heads.count('GDAHead') == 2
    for method in methods.values():
        assert method.first.record['data_root'] == str(own)
        assert len(method.first.predictions.label) == 12
    summary = json.loads(Path('swept/sweep.json').read_text())['configs']
    assert summary['lmmreg'] == 'own.py' and summary['gda'].endswith('methods/gda.py --on own.py')
    assert 'LMMREG_ON' not in os.environ
    monkeypatch.setattr(sys, 'argv', [*argv, 'gda', 'dga'])
    with pytest.raises(SystemExit, match='2'):
        runpy.run_path(str(TOOLS / 'sweep.py'), run_name='__main__')
    assert "no method 'dga'; give a config file, or one of " in capfd.readouterr().err


def test_methods_are_trained_tested_and_asked_with_on(own, monkeypatch, capfd):
    def call(command, *arguments):
        monkeypatch.setattr(sys, 'argv', ['tool.py', *map(str, arguments)])
        capfd.readouterr()
        run_tool(command)
        return capfd.readouterr().out

    for name in ('gda', 'l2_sp'):
        method, folder = method_file(name), Path('work_dirs', f'{name}_own')
        checkpoint = folder / 'epoch_1.pth'
        call(upstream.train, method, '--on', 'own.py')
        assert Config.fromfile(folder / f'{name}.py').method == name
        assert 'accuracy/top1' in call(upstream.test, method, checkpoint, '--on', 'own.py')
    assert sorted(path.name for path in Path('work_dirs').iterdir()) == ['gda_own', 'l2_sp_own']
    rest = (checkpoint, own / 'test' / 'red', '--json')

    def ask():
        assert predict.run(predict.parser().parse_args()) == 0

    dumped = call(ask, folder / 'l2_sp.py', *rest)
    monkeypatch.delenv('CUSTOM_ROOT')  # which the dumped config does not need
    assert call(ask, folder / 'l2_sp.py', *rest) == dumped
    monkeypatch.setenv('CUSTOM_ROOT', str(own))
    assert call(ask, method, *rest, '--on', 'own.py') == dumped and len(json.loads(dumped)) == 4
    call(upstream.train, method, '--on', 'own.py', '--work-dir', 'mine')
    assert Path('mine', 'epoch_1.pth').is_file()
    with pytest.raises(SystemExit, match='2'):
        call(upstream.train, 'own.py', '--on', 'own.py')
    assert 'error: --on own.py: own.py is not a method' in capfd.readouterr().err


HOOK = """\
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
@HOOKS.register_module(force=True)
class LeavesAFile(Hook):
    def after_train(self, runner):
        open('hook ran', 'w').close()
"""


def test_custom_imports_of_the_command_line(own, monkeypatch, capfd):
    Path('my_hooks.py').write_text(HOOK)
    monkeypatch.syspath_prepend('.')
    options = ['custom_imports.imports=[mmpretrain_lmmreg.register,my_hooks]']
    train(monkeypatch, '--cfg-options', *options, 'default_hooks.mine.type=LeavesAFile')
    assert Path('hook ran').is_file()
    for wrong in ('custom_imports.imports=no_such_module', 'custom_imports=mmpretrain_lmmreg'):
        with pytest.raises(SystemExit, match='2'):
            train(monkeypatch, '--cfg-options', wrong)
        said = capfd.readouterr().err.splitlines()[-1]
        assert 'error: ' in said and ('no_such_module' in said or 'custom_imports' in said)


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ('model.head.alhpa=0.1', 'did you mean alpha?'),
        ('model.head.in_channels=32', 'have D=16, the head has in_channels=32: set model'),
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


def add_untrained_class(own: Path) -> None:
    (own / 'train' / 'red').rename(own / 'train' / 'pink')


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
        (add_untrained_class, ['classes in test that train lacks: red']),
        (break_images, ['1 of 24 images cannot be read', 'train/red/3.png']),
        (list_of('train/red/0.png,red', 'train/blue/0.png,'), ['list.csv: no label in line 3']),
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
