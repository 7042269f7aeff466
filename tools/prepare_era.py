"""Make ERA's images: one frame of each video.

    python tools/prepare_era.py SOURCE data/era

SOURCE holds Train and Test folders of class folders of .mp4 videos, as released. Frames are
JPEGs of quality 95. Videos that cannot be decoded are listed at the end, and the exit code is
then 1.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg.datasets.prepare import prepare_era, run  # noqa: E402
from mmpretrain_lmmreg.launch import run_tool  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='folder with the unpacked Train and Test folders')
    parser.add_argument('data_root', help='folder to make; a stopped run goes on where it was')
    parser.add_argument('--frame', default='middle', help="'middle', 'first' or a fraction < 1")
    parser.add_argument('--workers', type=int, help='videos read at once (default: one a core)')
    sys.exit(run(prepare_era, **vars(parser.parse_args())))


if __name__ == '__main__':
    run_tool(main)
