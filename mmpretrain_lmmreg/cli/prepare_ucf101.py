"""Make UCF-101's images: one frame of each video of split 1.

    python tools/prepare_ucf101.py SOURCE data/ucf101

SOURCE holds the videos (Class/v_Class_g01_c01.avi, at any depth) and either the official lists
(trainlist01.txt, testlist01.txt) or CoOp's split_zhou_UCF101.json. Frames are JPEGs of quality
95. Videos that cannot be decoded are listed at the end, and the exit code is then 1.
"""

import argparse
import sys

from ..datasets.prepare import prepare_ucf101, run


def main() -> None:
    """Prepare the data set; the exit code is 1 where images are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='folder with the unpacked UCF101.rar and lists')
    parser.add_argument('data_root', help='folder to make; a stopped run goes on where it was')
    parser.add_argument('--lists', help='file or folder with the lists, if they are elsewhere')
    parser.add_argument('--frame', default='middle', help="'middle', 'first' or a fraction < 1")
    parser.add_argument('--workers', type=int, help='videos read at once (default: one a core)')
    sys.exit(run(prepare_ucf101, **vars(parser.parse_args())))
