"""Make UCF-101's images: one frame of each video of split 1.

    python tools/prepare_ucf101.py SOURCE data/ucf101

SOURCE holds the videos (Class/v_Class_g01_c01.avi, at any depth) and either the official lists
(trainlist01.txt, testlist01.txt) or CoOp's split_zhou_UCF101.json. Frames are JPEGs of quality
95. Videos that cannot be decoded are listed at the end, and the exit code is then 1.
"""

import argparse
import sys


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument('source', help='folder with the unpacked UCF101.rar and lists')
    p.add_argument('data_root', help='folder to make; a stopped run goes on where it was')
    p.add_argument('--lists', help='file or folder with the lists, if they are elsewhere')
    p.add_argument('--frame', default='middle', help="'middle', 'first' or a fraction < 1")
    p.add_argument('--workers', type=int, help='videos read at once (default: one a core)')
    return p


def main() -> None:
    """Prepare the data set; the exit code is 1 where images are missing."""
    args = parser().parse_args()
    from ..datasets.prepare import prepare_ucf101, run

    sys.exit(run(prepare_ucf101, **vars(args)))
