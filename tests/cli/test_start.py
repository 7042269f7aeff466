"""What a start leaves behind when it is refused, how a run reads on a terminal, and Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from mmpretrain_lmmreg.cli import predict, upstream
from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.hooks.run_folder import load_run

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
    assert said[-1].startswith('test accuracy ') and 'run/results/test.npz' in said[-1]
    assert sum('Epoch(' in line for line in lines) == 10  # a training and a test line an epoch
    assert len(lines) <= 10 + 10
    (log,) = Path('run').glob('*/*.log')
    text = log.read_text()
    assert 'System environment' in text and 'Config:' in text and 'Hooks will be executed' in text


def broken_image(folder):
    (folder / 'test' / 'red' / 'broken.png').write_bytes(b'no picture')


def image_in_both(folder):
    names = ['train/red/0.png', 'train/green/0.png', 'train/blue/0.png']
    rows = [dict(path=n, label=n.split('/')[1], split='train') for n in names]
    rows += [dict(path=f'./{n}', label=n.split('/')[1], split='test') for n in names[:1]]
    (folder / 'list.json').write_text(json.dumps(rows))


@pytest.mark.parametrize(
    ('spoil', 'options'),
    [
        (broken_image, []),
        (image_in_both, ['train_dataloader.dataset.ann_file=list.json']),
        (None, ['model.head.alhpa=3']),
        (None, ['modle.head.alpha=3']),
        (None, ['model.head.num_classes=7']),
        (None, ['model.backbone.pretrained=lost.pt']),
    ],
)
def test_a_refused_start_leaves_a_good_run_as_it_was(own, monkeypatch, capfd, spoil, options):
    train(monkeypatch)
    kept = [Path('run', name) for name in ('own.py', 'results/run.json', 'results/test.npz')]
    before = [path.read_bytes() for path in kept]
    if spoil:
        spoil(own)
    with pytest.raises(SystemExit, match='2'):
        train(monkeypatch, *(['--cfg-options', *options] if options else []))
    assert [path.read_bytes() for path in kept] == before
    assert 'Traceback' not in capfd.readouterr().err

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


@pytest.mark.parametrize('loops', [[], ['test_cfg.type=TestLoop']])
def test_tta(own, monkeypatch, capfd, loops):
    train(monkeypatch)
    options = ['--cfg-options', *loops] if loops else []
    out = call(
        monkeypatch, capfd, upstream.test, 'own.py', 'run/epoch_1.pth', '--tta', '--work-dir',
        'run', *options,
    )  # fmt: off
    assert 'accuracy/top1' in out
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
