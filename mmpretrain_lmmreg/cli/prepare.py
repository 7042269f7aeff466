"""Make the images of a published data set, or check them."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from importlib import import_module

from .options import command_parser, whole

ABOUT = {
    'ucf101': """Make UCF-101's images: one frame of each video of split 1.

SOURCE holds the videos (Class/v_Class_g01_c01.avi, at any depth) and either the official lists
(trainlist01.txt, testlist01.txt) or CoOp's split_zhou_UCF101.json. Frames are JPEG files of
quality 95. Videos that cannot be decoded are listed at the end; the exit code is then 1.""",
    'era': """Make ERA's images: one frame of each video.

SOURCE holds folders Train and Test, as released, with a folder of .mp4 videos for each class.
Frames are JPEG files of quality 95. Videos that cannot be decoded are listed at the end; the exit
code is then 1.""",
    'bar': """Check BAR's images and copy them to where the configs look for them.

SOURCE holds folders train and test with files CLASS_NUMBER.jpg. SOURCE and DATA_ROOT may be the
same folder. Wrong counts and images that cannot be decoded are listed; the exit code is then 1.
Two of the .jpg files are PNG images, which is fine.""",
}


def parser() -> ArgumentParser:
    """The command's options."""
    p = command_parser(__doc__, 'mmpretrain-lmmreg prepare bar SOURCE data/bar')
    data_sets = p.add_subparsers(dest='data_set', required=True, metavar='DATA_SET')
    for name, about in ABOUT.items():
        each = data_sets.add_parser(
            name,
            help=about.partition('\n')[0],
            description=about,
            epilog=f'example:\n  mmpretrain-lmmreg prepare {name} SOURCE data/{name}',
            formatter_class=RawDescriptionHelpFormatter,
        )
        each.add_argument('source', metavar='SOURCE', help='folder of the download')
        root = 'folder to make; a stopped command continues'
        each.add_argument('data_root', metavar='DATA_ROOT', help=root)
        if name == 'bar':
            each.add_argument(
                '--replies',
                action='store_true',
                help='also write descriptions.jsonl with the 480 replies of this package',
            )
            continue
        if name == 'ucf101':
            each.add_argument(
                '--lists', metavar='PATH', help='file or folder of the lists (SOURCE)'
            )
        frame = 'frame to take: middle, first or a fraction below 1 (%(default)s)'
        each.add_argument('--frame', default='middle', help=frame)
        workers = 'videos read at a time (one for each core)'
        each.add_argument('--workers', type=whole(0), metavar='N', help=workers)
    return p


def main() -> None:
    """Prepare the data set; the exit code is 1 where images are missing."""
    arguments = vars(parser().parse_args())
    name = arguments.pop('data_set')
    from ..datasets.prepare import run

    module = import_module(f'..datasets.{name}', __package__)
    sys.exit(run(getattr(module, f'prepare_{name}'), **arguments))
