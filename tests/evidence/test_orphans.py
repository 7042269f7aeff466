"""Runs of a sweep that is killed end with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RUN = """\
import os, time
def train(config, folder, threads):
    (folder / 'pid').write_text(str(os.getpid()))
    time.sleep(60)
"""
SWEEP = """\
from pathlib import Path
import run
from mmpretrain_lmmreg.evidence.processes import train_all
if __name__ == '__main__':
    train_all(run.train, [(Path('x'), Path('.'))], 1, None)
"""


def wait_for(happened, seconds: int = 60) -> bool:
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.05)
    return happened()


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody reads the end of."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    except FileNotFoundError:
        return True


def test_a_run_ends_when_its_sweep_is_killed(tmp_path):
    (tmp_path / 'run.py').write_text(RUN)
    (tmp_path / 'sweep.py').write_text(SWEEP)
    checkout = str(Path(__file__).resolve().parents[2])
    environment = dict(os.environ, PYTHONPATH=f'{checkout}{os.pathsep}{tmp_path}')
    sweep = subprocess.Popen([sys.executable, 'sweep.py'], cwd=tmp_path, env=environment)
    try:
        pid = tmp_path / 'pid'
        assert wait_for(lambda: pid.is_file() and pid.read_text() != '')
        child = int(pid.read_text())
        assert not ended(child)
    finally:
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
    assert wait_for(lambda: ended(child), 10)
