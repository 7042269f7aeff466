"""Check BAR's images and copy them to where the configs look for them.

    python tools/prepare_bar.py SOURCE data/bar

SOURCE holds train and test, flat folders of <class>_<n>.jpg; SOURCE and DATA_ROOT may be the
same. Wrong counts and images that cannot be decoded are listed, and the exit code is then 1.
(Two of the .jpg files are PNGs inside, which is fine.)
"""

import argparse
import sys


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument('source', help='folder with the unpacked train and test folders')
    p.add_argument('data_root', help='folder to make; a stopped run goes on where it was')
    p.add_argument(
        '--replies',
        action='store_true',
        help="also write the package's 480 replies of a multimodal model as descriptions.jsonl",
    )
    return p


def main() -> None:
    """Prepare the data set; the exit code is 1 where images are missing."""
    args = parser().parse_args()
    from ..datasets.prepare import prepare_bar, run

    sys.exit(run(prepare_bar, **vars(args)))
