"""Train, resume, test and predict with whichever family of mm* packages is installed."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import mmpretrain
import pytest
import torch
from smoke.tiny import write_project

ROOT = Path(__file__).resolve().parents[2]
OURS, THEIRS = ROOT / 'tools', Path(mmpretrain.__file__).parent / '.mim' / 'tools'
CONFIGS = {'LMMREG_CONFIGS': str(ROOT / 'configs')}


def run_tool(tool: Path, *arguments, cwd: Path, fails: bool = False) -> str:
    """Run a tool and return what it printed."""
    command = [sys.executable, str(tool), *map(str, arguments)]
    environment = {**os.environ, **CONFIGS, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, output
    return output


class Runs:
    """Its pickle makes a file when it is read."""

    def __reduce__(self):
        return exec, ("open('ran', 'w').close()",)


@pytest.mark.slow
@pytest.mark.parametrize('tools', [OURS, THEIRS], ids=['ours', 'mmpretrains'])
def test_train_resume_test_predict(tmp_path, pictures, monkeypatch, tools):
    config = write_project(tmp_path, pictures)
    train, test = tools / 'train.py', tools / 'test.py'
    output = run_tool(train, config, '--auto-scale-lr', cwd=tmp_path)
    assert 'reg_ratio' in output
    assert 'Scaling the original LR by 0.0625' in output  # batches of 4 instead of 64
    if tools == OURS:  # six steps of a model with random weights may well be below chance
        lines = [line for line in output.splitlines() if 'below chance' not in line]
        assert not [line for line in lines if 'Warning' in line or '- WARNING -' in line], output
    more = ('--resume', '--cfg-options', 'train_cfg.max_epochs=3')
    assert 'resumed epoch: 2' in run_tool(train, config, *more, cwd=tmp_path)

    checkpoint = tmp_path / 'work_dirs' / 'tiny' / 'epoch_3.pth'
    output = run_tool(test, config, checkpoint, '--out', 'out.pkl', cwd=tmp_path)
    assert 'accuracy/top1' in output
    samples = pickle.loads((tmp_path / 'out.pkl').read_bytes())
    assert len(samples) == 12

    from mmpretrain import ImageClassificationInferencer

    for name, value in CONFIGS.items():
        monkeypatch.setenv(name, value)
    inferencer = ImageClassificationInferencer(str(config), str(checkpoint), device='cpu')
    predicted = [inferencer(sample['img_path'])[0] for sample in samples]
    assert [p['pred_label'] for p in predicted] == [int(s['pred_label']) for s in samples]

    torch.save(dict(torch.load(checkpoint, weights_only=False), more=Runs()), checkpoint)
    for tool, arguments in ((test, [checkpoint]), (train, more)):
        output = run_tool(tool, config, *arguments, cwd=tmp_path, fails=True)
        assert 'it holds more than weights and log values' in output, output
        assert not (tmp_path / 'ran').exists()
