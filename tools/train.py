"""Train a model: ``python tools/train.py CONFIG``, with mmpretrain's own options.

A method on any data: ``python tools/train.py configs/methods/METHOD.py --on DATA_CONFIG``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg.launch import run_tool, train  # noqa: E402

if __name__ == '__main__':
    run_tool(train)
