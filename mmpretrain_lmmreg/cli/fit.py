"""Find the best classifier for a folder of images.

The command compares methods by cross-validation on the training images and averages the best ones.
It trains the average on all of them, tests it once and exports it to DIR/exported. DIR/report.html
shows the comparison, errors, and images whose label looks wrong. A stopped fit continues with the
same command.
"""

from argparse import ArgumentParser

from ..describe.describers import NAMES, missing_endpoint
from ..errors import InputError
from .options import check_describer, command_parser, positive, price, whole

KEPT = 'Features and finished candidates are kept; the same command continues.'


def parser() -> ArgumentParser:
    """The command's options."""
    p = command_parser(__doc__, 'mmpretrain-lmmreg fit IMAGES --model lite0-minilm --out fitted')
    p.add_argument('images', metavar='IMAGES', help='folder with a folder for each class')
    p.add_argument('--out', default='fitted', metavar='DIR', help='folder to make (%(default)s)')
    add = p.add_argument_group('images').add_argument
    test = 'folder of test images, used once at the end (the test split of IMAGES, else a fifth)'
    add('--test', metavar='IMAGES', help=test)
    add('--list', default='', metavar='FILE', help='CSV or JSON list of paths and labels')
    add('--names', default='', metavar='FILE', help='JSON or CSV file of class names')
    group = 'images whose paths give the same match are from one source and stay together'
    add('--group-by', metavar='REGEX', help=group)
    add = p.add_argument_group('model').add_argument
    model = 'open_clip model (%(default)s); lite0-minilm needs no network'
    add('--model', default='ViT-L-14-quickgelu', metavar='NAME', help=model)
    add('--pretrained', metavar='W', help='weights: an open_clip tag or a file')
    add = p.add_argument_group('comparison').add_argument
    add('--methods', nargs='+', metavar='NAME', help='compare only these methods')
    minutes = 'time for cross-validation (%(default)s); methods that do not finish are left out'
    add('--minutes', type=float, default=2.0, metavar='M', help=minutes)
    seed = 'seed of split, folds and training (%(default)s)'
    add('--seed', type=int, default=0, metavar='S', help=seed)
    add = p.add_argument_group('describe on demand').add_argument
    describer = 'kind of model to ask about training images, so that predict can ask about others'
    add('--describer', choices=NAMES, help=describer)
    add('--lmm', default='', metavar='NAME', help='name of the model')
    calibrate = 'training images to ask about (five a class, at least 30)'
    add('--calibrate', type=whole(1), metavar='N', help=calibrate)
    add('--price', type=price, metavar='IN,OUT', help='price of a million tokens')
    add('--max-cost', type=positive, metavar='X', help='stop before it costs more; needs --price')
    return p


def main() -> None:
    """Choose, train and export."""
    options = parser().parse_args()
    check_describer(options, 'lmm', 'calibrate', 'price', 'max_cost')
    args = vars(options)
    from ..describe.plan import DescribePlan
    from ..fitting.fit import fit
    from .runner import quiet_log

    quiet_log()
    limits = dict(max_cost=args.pop('max_cost'), price=args.pop('price'))
    lmm = args.pop('lmm')
    if args['describer']:
        if missing := missing_endpoint(args['describer']):
            raise InputError(missing, code='describe.no_key')
        args['describer'] = DescribePlan(args['describer'], lmm, count=1, **limits)
    fit(args.pop('images'), list_file=args.pop('list'), **args)
