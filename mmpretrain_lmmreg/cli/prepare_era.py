"""Make ERA's images: one frame of each video.

    python tools/prepare_era.py SOURCE data/era

SOURCE holds Train and Test folders of class folders of .mp4 videos, as released. Frames are
JPEGs of quality 95. Videos that cannot be decoded are listed at the end, and the exit code is
then 1.
"""

import argparse
import sys

from ..datasets.prepare import prepare_era, run


def main() -> None:
    """Prepare the data set; the exit code is 1 where images are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='folder with the unpacked Train and Test folders')
    parser.add_argument('data_root', help='folder to make; a stopped run goes on where it was')
    parser.add_argument('--frame', default='middle', help="'middle', 'first' or a fraction < 1")
    parser.add_argument('--workers', type=int, help='videos read at once (default: one a core)')
    sys.exit(run(prepare_era, **vars(parser.parse_args())))
