"""Train, resume, test and predict with whichever family of mm* packages is installed."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from smoke.tiny import write_project

ROOT = Path(__file__).resolve().parents[2]


def run_tool(name: str, *arguments, cwd: Path) -> str:
    """Run one of tools/ and return what it printed; it must neither fail nor warn."""
    command = [sys.executable, str(ROOT / 'tools' / name), *map(str, arguments)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert 'Warning' not in output and '- WARNING -' not in output, output
    return output


@pytest.mark.slow
def test_train_resume_test_predict(tmp_path, pictures, monkeypatch):
    config = write_project(tmp_path, pictures)
    output = run_tool('train.py', config, '--auto-scale-lr', cwd=tmp_path)
    assert 'reg_ratio' in output
    assert 'Scaling the original LR by 0.0625' in output  # batches of 4 instead of 64
    more = ('--resume', '--cfg-options', 'train_cfg.max_epochs=3')
    assert 'resumed epoch: 2' in run_tool('train.py', config, *more, cwd=tmp_path)

    checkpoint = tmp_path / 'work_dirs' / 'tiny' / 'epoch_3.pth'
    output = run_tool('test.py', config, checkpoint, '--out', 'out.pkl', cwd=tmp_path)
    assert 'accuracy/top1' in output
    samples = pickle.loads((tmp_path / 'out.pkl').read_bytes())
    assert len(samples) == 12

    from mmpretrain import ImageClassificationInferencer

    monkeypatch.setenv('LMMREG_CONFIGS', str(ROOT / 'configs'))
    inferencer = ImageClassificationInferencer(str(config), str(checkpoint), device='cpu')
    predicted = [inferencer(sample['img_path'])[0] for sample in samples]
    assert [p['pred_label'] for p in predicted] == [int(s['pred_label']) for s in samples]
