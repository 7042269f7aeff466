"""Make the images of a published data set, or check them."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from importlib import import_module

ABOUT = {
    'ucf101': """Make UCF-101's images: one frame of each video of split 1.

SOURCE holds the videos (Class/v_Class_g01_c01.avi, at any depth) and either the official lists
(trainlist01.txt, testlist01.txt) or CoOp's split_zhou_UCF101.json. Frames are JPEGs of quality
95. Videos that cannot be decoded are listed at the end, and the exit code is then 1.""",
    'era': """Make ERA's images: one frame of each video.

SOURCE holds Train and Test folders of class folders of .mp4 videos, as released. Frames are
JPEGs of quality 95. Videos that cannot be decoded are listed at the end, and the exit code is
then 1.""",
    'bar': """Check BAR's images and copy them to where the configs look for them.

SOURCE holds train and test, flat folders of <class>_<n>.jpg; SOURCE and DATA_ROOT may be the
same. Wrong counts and images that cannot be decoded are listed, and the exit code is then 1.
(Two of the .jpg files are PNGs inside, which is fine.)""",
}


def parser() -> ArgumentParser:
    """The command's options."""
    p = ArgumentParser(description=__doc__)
    data_sets = p.add_subparsers(dest='data_set', required=True, metavar='DATA_SET')
    for name, about in ABOUT.items():
        each = data_sets.add_parser(
            name,
            help=about.partition('\n')[0],
            description=about,
            formatter_class=RawDescriptionHelpFormatter,
        )
        each.add_argument('source', metavar='SOURCE', help='folder of what was downloaded')
        each.add_argument(
            'data_root', metavar='DATA_ROOT', help='folder to make; a stopped run goes on'
        )
        if name == 'bar':
            each.add_argument(
                '--replies',
                action='store_true',
                help="also write the package's 480 replies of a multimodal model as "
                'descriptions.jsonl',
            )
            continue
        if name == 'ucf101':
            each.add_argument('--lists', help='file or folder with the lists, if elsewhere')
        each.add_argument('--frame', default='middle', help="'middle', 'first' or a fraction < 1")
        each.add_argument('--workers', type=int, help='videos read at once (default: one a core)')
    return p


def main() -> None:
    """Prepare the data set; the exit code is 1 where images are missing."""
    arguments = vars(parser().parse_args())
    name = arguments.pop('data_set')
    from ..datasets.prepare import run

    module = import_module(f'..datasets.{name}', __package__)
    sys.exit(run(getattr(module, f'prepare_{name}'), **arguments))
