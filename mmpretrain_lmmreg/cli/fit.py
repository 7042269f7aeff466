"""Find the best classifier for a folder of images.

    mmpretrain-lmmreg fit IMAGES --model lite0-minilm

Candidates are compared by cross-validation on the training images. The best one is trained on all
of them, tested once and exported into DIR/exported, which works by itself. DIR/report.html shows
the comparison and the images to look at.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter

KEPT = 'Features and finished candidates are kept; the same command goes on.'


def parser() -> ArgumentParser:
    """The command's options."""
    p = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    p.add_argument('images', metavar='IMAGES', help='folder of the images, a folder for each class')
    p.add_argument('--test', metavar='IMAGES', help='folder of other images, looked at once')
    p.add_argument('--out', default='fitted', metavar='DIR', help='folder to make (%(default)s)')
    p.add_argument(
        '--model',
        default='ViT-L-14-quickgelu',
        metavar='NAME',
        help='open_clip model (%(default)s); lite0-minilm needs no network',
    )
    p.add_argument('--pretrained', metavar='W', help='weights: a tag or a file')
    p.add_argument('--methods', nargs='+', metavar='NAME', help='compare these methods alone')
    p.add_argument(
        '--minutes',
        type=float,
        default=2.0,
        metavar='M',
        help='time for cross-validation; what is not finished is left out (%(default)s)',
    )
    p.add_argument('--seed', type=int, default=0, metavar='S')
    p.add_argument('--list', default='', metavar='FILE', help='list of paths and labels')
    p.add_argument('--names', default='', metavar='FILE', help='names of the classes')
    p.add_argument(
        '--group-by',
        metavar='REGEX',
        help='images whose path gives the same match come from one source and share a fold',
    )
    return p


def main() -> None:
    """Choose, train and export."""
    args = vars(parser().parse_args())
    from ..fitting.fit import fit
    from .runner import quiet_log

    quiet_log()
    fit(args.pop('images'), list_file=args.pop('list'), **args)
