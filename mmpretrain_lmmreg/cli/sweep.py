"""Train configs x methods x seeds x grid.

python tools/sweep.py CONFIG... --methods NAME... --seeds 0 1 2 --out DIR
"""

import argparse
from pathlib import Path

KEPT = 'Finished runs are kept, others up to their last checkpoint; the same command goes on.'


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        description='Train every config with every seed and setting. Ctrl-C keeps what is done, '
        'and the same command goes on. tools/compare.py takes the folder.'
    )
    p.add_argument('configs', nargs='+', metavar='CONFIG')
    p.add_argument(
        '--methods',
        nargs='+',
        default=[],
        metavar='NAME',
        help='methods of configs/methods, such as finetune gda, or files, that every config is '
        'trained with, beside its own, which may be named, too',
    )
    p.add_argument('--seeds', nargs='+', type=int, default=[0])
    p.add_argument(
        '--grid',
        nargs='+',
        default=[],
        metavar='KEY=V1,V2',
        help='settings to try, such as model.head.alpha=0.001,0.01; METHOD:KEY=V1,V2 for one '
        'method; several multiply',
    )
    p.add_argument(
        '--select',
        choices=['val'],
        help='choose each method’s setting on held-out training images, then train it and the '
        'default one on all of them; without it every setting is trained and tested',
    )
    p.add_argument(
        '--val-fraction',
        type=float,
        default=0.2,
        help='share of the training images to choose on; 0 where the data set defines a '
        'validation split (default: %(default)s)',
    )
    p.add_argument('--out', required=True, type=Path, help='folder of all runs')
    p.add_argument(
        '--jobs',
        type=int,
        default=0,
        metavar='N',
        help='runs at a time (default: the cores of the CPU, at most 4; 1 with a GPU)',
    )
    p.add_argument(
        '--seeded',
        nargs='+',
        default=[],
        metavar='KEY',
        help='settings that take the seed as their value: train_dataloader.dataset.shot_seed draws '
        'other few shots for each seed',
    )
    p.add_argument('--cfg-options', nargs='+', help='as in train.py')
    return p


def main() -> None:
    """Train what is not trained yet."""
    args = parser().parse_args()
    from .sweep_runs import run

    run(args)
