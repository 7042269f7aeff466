"""The command of this file's name: see ``--help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg.cli.main import run

if __name__ == '__main__':
    run(Path(__file__).stem)
