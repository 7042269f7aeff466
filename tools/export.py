"""Make a folder that classifies with open_clip alone. See ``python tools/export.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg_start import run

if __name__ == '__main__':
    run('export')
