"""Train several configs, methods, seeds and settings.

A stopped sweep continues with the same command. mmpretrain-lmmreg compare reads its folder.
"""

from argparse import ArgumentParser
from pathlib import Path

from .options import command_parser, whole

KEPT = 'Finished runs are kept, others up to their last checkpoint; the same command continues.'


def parser() -> ArgumentParser:
    """The command's options."""
    example = (
        'mmpretrain-lmmreg sweep configs/lmmreg_demo.py --methods finetune gda --seeds 0 1 2 '
        '--out work_dirs/sweep'
    )
    p = command_parser(__doc__, example)
    config = "a data set's config; its own method is trained, too"
    p.add_argument('configs', nargs='+', metavar='CONFIG', help=config)
    p.add_argument('--out', required=True, type=Path, metavar='DIR', help='folder of all runs')
    jobs = "runs at a time (the CPU's cores, at most 4; with a GPU 1)"
    p.add_argument('--jobs', type=whole(0), default=0, metavar='N', help=jobs)
    add = p.add_argument_group('what to train').add_argument
    methods = 'train these methods of configs/methods, or config files, on every CONFIG'
    add('--methods', nargs='+', default=[], metavar='NAME', help=methods)
    seeds = 'train with each seed (0)'
    add('--seeds', nargs='+', type=whole(0), default=[0], metavar='S', help=seeds)
    seeded = (
        'settings whose value is the seed; train_dataloader.dataset.shot_seed draws other few-shot '
        'images for each seed'
    )
    add('--seeded', nargs='+', default=[], metavar='KEY', help=seeded)
    add('--cfg-options', nargs='+', metavar='KEY=VALUE', help='settings of every run, as in train')
    add = p.add_argument_group('settings to try').add_argument
    grid = (
        'values of a setting, such as model.head.alpha=0.001,0.01; METHOD:KEY=V1,V2 is for one '
        'method; several settings are combined'
    )
    add('--grid', nargs='+', default=[], metavar='KEY=V1,V2', help=grid)
    select = (
        "choose each method's setting on held-out training images, then train it and the default "
        'on all of them; without this option every setting is trained and tested'
    )
    add('--select', choices=['val'], help=select)
    fraction = 'share of training images to hold out (%(default)s); 0: the data set has a val split'
    add('--val-fraction', type=float, default=0.2, metavar='X', help=fraction)
    return p


def main() -> None:
    """Train what is not trained yet."""
    args = parser().parse_args()
    from .sweep_runs import run

    run(args)
