"""Runs of a sweep that is killed end with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

RUN = """\
import os, signal
def train(config, folder, threads):
    with open(folder / 'alive', 'w') as alive:
        print('training', file=alive, flush=True)
        signal.pause()
"""
SWEEP = """\
from pathlib import Path
import run
from mmpretrain_lmmreg.evidence.processes import train_all
if __name__ == '__main__':
    train_all(run.train, [(Path('x'), Path('.'))], 1, None)
"""


def test_a_run_ends_when_its_sweep_is_killed(tmp_path):
    """The run holds a pipe open, which tells when it begins and when its process has ended."""
    (tmp_path / 'run.py').write_text(RUN)
    (tmp_path / 'sweep.py').write_text(SWEEP)
    os.mkfifo(tmp_path / 'alive')
    checkout = str(Path(__file__).resolve().parents[2])
    environment = dict(os.environ, PYTHONPATH=f'{checkout}{os.pathsep}{tmp_path}')
    sweep = subprocess.Popen([sys.executable, 'sweep.py'], cwd=tmp_path, env=environment)
    with open(tmp_path / 'alive') as alive:
        assert alive.readline() == 'training\n'
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
        assert alive.read() == ''  # the end of the pipe comes with the end of the run
