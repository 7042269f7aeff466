"""Check BAR's images. See ``python tools/prepare_bar.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg_start import run

if __name__ == '__main__':
    run('prepare_bar')
