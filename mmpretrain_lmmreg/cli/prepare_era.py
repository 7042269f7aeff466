"""Make ERA's images: one frame of each video.

    python tools/prepare_era.py SOURCE data/era

SOURCE holds Train and Test folders of class folders of .mp4 videos, as released. Frames are
JPEGs of quality 95. Videos that cannot be decoded are listed at the end, and the exit code is
then 1.
"""

import argparse
import sys


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument('source', help='folder with the unpacked Train and Test folders')
    p.add_argument('data_root', help='folder to make; a stopped run goes on where it was')
    p.add_argument('--frame', default='middle', help="'middle', 'first' or a fraction < 1")
    p.add_argument('--workers', type=int, help='videos read at once (default: one a core)')
    return p


def main() -> None:
    """Prepare the data set; the exit code is 1 where images are missing."""
    args = parser().parse_args()
    from ..datasets.prepare import prepare_era, run

    sys.exit(run(prepare_era, **vars(args)))
