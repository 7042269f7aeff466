"""Test a model: ``python tools/test.py CONFIG CHECKPOINT``, with mmpretrain's own options."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg.launch import run_tool, test  # noqa: E402

if __name__ == '__main__':
    run_tool(test)
