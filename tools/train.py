"""Train a model, with mmpretrain's own options and ``--on``, which puts a method on any data.

See ``python tools/train.py --help``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg_start import run

if __name__ == '__main__':
    run('train')
