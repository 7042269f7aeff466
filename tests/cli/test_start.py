"""What a start leaves behind when it is refused, how a run reads on a terminal, and Ctrl-C."""

import contextlib
import json
import logging
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmpretrain_lmmreg.cli import predict, upstream
from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.hooks import results
from mmpretrain_lmmreg.hooks.run_folder import Predictions, load_run

from .conftest import CHILD, train

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def call(monkeypatch, capfd, command, *arguments) -> str:
    monkeypatch.setattr(sys, 'argv', ['tool.py', *map(str, arguments)])
    capfd.readouterr()
    run_tool(command)
    return capfd.readouterr().out


def test_the_terminal_has_what_matters(own, monkeypatch, capfd):
    train(monkeypatch, '--cfg-options', 'train_cfg.max_epochs=5', 'train_dataloader.batch_size=24')
    lines = capfd.readouterr().out.splitlines()
    said = [line.partition('INFO - ')[2] for line in lines if 'INFO - ' in line]
    first = [
        line.startswith('24 training, 12 validation and 12 test images') for line in said
    ].index(True)
    assert first < 4 and 'lmmreg: ClassMeanRegHead on local-dir:' in said[first + 1]
    assert said[first + 1].endswith('/run')
    assert re.match(r'test accuracy [\d.]+ % \(chance 33.33 %, training [\d.]+ %\) ', said[-1])
    assert 'run/results/test.npz' in said[-1]
    assert lines[-1].startswith('next: python predict.py run/own.py run/epoch_5.pth ')
    assert Path(lines[-1].split()[-1]).is_file()
    assert sum('Epoch(' in line for line in lines) == 10  # a training and a test line an epoch
    assert len(lines) <= 10 + 11
    (log,) = Path('run').glob('*/*.log')
    text = log.read_text()
    assert 'System environment' in text and 'Config:' in text and 'Hooks will be executed' in text


def test_a_terminal_shows_a_bar_of_epochs(own):
    """The log file has the lines of the epochs; what follows the bar is on the terminal again."""
    ours, theirs = pty.openpty()
    command = [sys.executable, TOOLS / 'train.py', 'own.py', '--work-dir', 'run']
    command += ['--cfg-options', 'train_cfg.max_epochs=3']
    environment = {**os.environ, 'TERM': 'xterm', 'COLUMNS': '100', 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b''
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 4096):
            seen += part
    assert process.wait() == 0, seen.decode()
    assert b'epochs' in seen and b'3/3' in seen and b'Epoch(' not in seen
    assert re.search(rb'(?s)test accuracy [\d.]+ % \(chance 33.33 %.*next: python', seen)
    (log,) = Path('run').glob('*/*.log')
    assert log.read_text().count('Epoch(train)') == 3


@pytest.mark.parametrize('images', [False, True])
def test_training_accuracy_is_that_of_a_test_on_the_training_images(
    own, monkeypatch, capfd, images
):
    """Averaged weights, too, and views of which the first counts."""
    hook = "custom_hooks = [dict(type='EMAHook', momentum=0.5)]\n"
    Path('own.py').write_text(CHILD + hook)
    loops = ['train_cfg.type=EpochBasedTrainLoop', 'val_cfg.type=ValLoop', 'test_cfg.type=TestLoop']
    train(monkeypatch, '--cfg-options', 'train_cfg.max_epochs=3', *(loops if images else []))
    options = ['--cfg-options', 'test_dataloader.dataset.split=train', *(loops[1:] * images)]
    call(monkeypatch, capfd, upstream.test, 'own.py', 'run/epoch_3.pth', *options)
    run, tested = load_run('run'), load_run('work_dirs/own')
    assert run['train_accuracy'] == tested['splits']['train']['accuracy']


def test_accuracy_below_chance_is_a_warning(monkeypatch):
    said = []
    monkeypatch.setattr(results, 'print_log', lambda *line: said.append(line))
    rows = dict(rel_path=np.array(list('abc')), group=np.array(list('abc')), split='test')
    worse = Predictions(label=np.array([0, 0, 1]), probs=np.eye(2)[[1, 1, 1]], **rows)
    results.say_accuracy(worse, dict(train_accuracy=0.5), 'after epoch 1')
    first, second = said
    assert first[0] == 'test accuracy 33.33 % (chance 66.67 %, training 50.00 %) after epoch 1'
    assert second[0].startswith('test accuracy is below chance') and logging.WARNING in second
    results.say_accuracy(replace(worse, probs=np.eye(2)[[0, 0, 1]]), {}, '')
    assert len(said) == 3


def broken_image(folder):
    (folder / 'test' / 'red' / 'broken.png').write_bytes(b'no picture')


def image_in_both(folder):
    names = ['train/red/0.png', 'train/green/0.png', 'train/blue/0.png']
    rows = [dict(path=n, label=n.split('/')[1], split='train') for n in names]
    rows += [dict(path=f'./{n}', label=n.split('/')[1], split='test') for n in names[:1]]
    (folder / 'list.json').write_text(json.dumps(rows))


def test_a_refused_start_leaves_a_good_run_as_it_was(own, monkeypatch, capfd):
    train(monkeypatch)
    kept = [Path('run', name) for name in ('own.py', 'results/run.json', 'results/test.npz')]
    before = [path.read_bytes() for path in kept]
    image_in_both(own)
    for options in (
        ['train_dataloader.dataset.ann_file=list.json'],
        ['model.head.alhpa=3'],
        ['model.head.num_classes=7'],
        ['model.backbone.pretrained=lost.pt'],
    ):
        with pytest.raises(SystemExit, match='2'):
            train(monkeypatch, '--cfg-options', *options)
        assert [path.read_bytes() for path in kept] == before
        assert 'Traceback' not in capfd.readouterr().err
    broken_image(own)
    with pytest.raises(SystemExit, match='2'):
        train(monkeypatch)
    assert [path.read_bytes() for path in kept] == before

    def ask():
        assert predict.run(predict.parser().parse_args()) == 0

    picture = own / 'test' / 'red' / '0.png'
    found = call(monkeypatch, capfd, ask, 'run/own.py', 'run/epoch_1.pth', picture, '--json')
    assert len(json.loads(found)) == 1


def test_pictures_of_both_splits_are_named_before_the_first_epoch(own, monkeypatch, capfd):
    broken_image(own)
    (own / 'train' / 'blue' / 'broken.png').write_bytes(b'no picture')
    Image.MAX_IMAGE_PIXELS, before = 100, Image.MAX_IMAGE_PIXELS
    Image.new('RGB', (20, 20)).save(own / 'test' / 'red' / 'bomb.png')
    Image.MAX_IMAGE_PIXELS = 32 * 32  # the others are as large
    try:
        Image.new('RGB', (90, 90)).save(own / 'test' / 'red' / 'bomb.png')
        with pytest.raises(SystemExit, match='2'):
            train(monkeypatch)
    finally:
        Image.MAX_IMAGE_PIXELS = before
    err = capfd.readouterr().err
    for name in ('train/blue/broken.png', 'test/red/broken.png', 'test/red/bomb.png'):
        assert name in err
    assert not list(Path('run').glob('*.pth')) and not Path('run', 'results').exists()


def test_tta(own, monkeypatch, capfd):
    train(monkeypatch)
    command = [upstream.test, 'own.py', 'run/epoch_1.pth', '--tta', '--work-dir', 'run']
    for loop in [], ['--cfg-options', 'test_cfg.type=TestLoop']:
        assert 'accuracy/top1' in call(monkeypatch, capfd, *command, *loop)
        assert set(load_run('run')['splits']) == {'test', 'test_tta'}


def test_many_shots_and_missing_packages(own, monkeypatch, capfd):
    train(monkeypatch, '--cfg-options', 'train_dataloader.dataset.shots=99')
    assert 'shots=99, but 3 of 3 classes have fewer images' in capfd.readouterr().out
    board = "visualizer = dict(vis_backends=[dict(type='TensorboardVisBackend')])\n"
    Path('own.py').write_text(CHILD + board)
    for name in ('torch.utils.tensorboard', 'tensorboardX'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit, match='2'):  # its name: two runs of a second share their parts
        train(monkeypatch, '--cfg-options', 'experiment_name=other')
    err = capfd.readouterr().err
    assert 'pip install' in err and 'tensorboard' in err and 'Traceback' not in err


@pytest.mark.parametrize(
    ('given', 'kept', 'go_on'),
    [
        ([], False, ['c.py', '--resume']),
        (['--resume', 'a b.pth', '--amp'], True, ['c.py', '--amp', '--resume']),
        (['--resume', 'a b.pth'], False, ['c.py', '--resume', 'a b.pth']),
    ],
)
def test_the_command_that_goes_on_after_ctrl_c(tmp_path, monkeypatch, given, kept, go_on):
    if kept:
        (tmp_path / 'last_checkpoint').write_text('epoch_3.pth')
    monkeypatch.setattr(sys, 'argv', ['mmpretrain-lmmreg train', 'c.py', *given])
    command = upstream._what_is_kept(str(tmp_path)).splitlines()[-1]
    assert shlex.split(command) == ['mmpretrain-lmmreg', 'train', *go_on]


@pytest.mark.slow
def test_ctrl_c_names_what_is_kept_and_the_command_that_goes_on(own):
    command = [sys.executable, str(TOOLS / 'train.py'), 'own.py', '--work-dir', 'run']
    longer = ['--cfg-options', 'train_cfg.max_epochs=100000', 'default_hooks.checkpoint.interval=1']
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    shutil.rmtree('run', ignore_errors=True)
    with open('log.txt', 'w') as log:
        process = subprocess.Popen(
            [*command, *longer], stdout=log, stderr=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(600):
            if Path('run/last_checkpoint').exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    assert (process.returncode, 'Traceback' in err) == (130, False), err
    assert 'stopped. Kept in run: epoch_' in err and '--resume' in err
    go_on = err.strip().splitlines()[-1].split()[1:]
    assert go_on[1:] == ['own.py', '--work-dir', 'run', *longer, '--resume']
