"""Train configs x methods x seeds x grid.

python tools/sweep.py CONFIG... --methods NAME... --seeds 0 1 2 --out DIR
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import DictAction

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg.evidence.sweep import Sweep  # noqa: E402
from mmpretrain_lmmreg.launch import run_tool  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train every config with every seed and setting. Ctrl-C keeps what is done, '
        'and the same command goes on. tools/compare.py takes the folder.'
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG')
    parser.add_argument(
        '--methods',
        nargs='+',
        default=[],
        metavar='NAME',
        help='methods of configs/methods, such as finetune gda, or files, that every config is '
        'trained with, beside its own',
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument(
        '--grid',
        nargs='+',
        default=[],
        metavar='KEY=V1,V2',
        help='settings to try, such as model.head.alpha=0.001,0.01; METHOD:KEY=V1,V2 for one '
        'method; several multiply',
    )
    parser.add_argument(
        '--select',
        choices=['val'],
        help='choose each method’s setting on held-out training images, then train it and the '
        'default one on all of them; without it every setting is trained and tested',
    )
    parser.add_argument(
        '--val-fraction',
        type=float,
        default=0.2,
        help='share of the training images to choose on; 0 where the data set defines a '
        'validation split (default: %(default)s)',
    )
    parser.add_argument('--out', required=True, type=Path, help='folder of all runs')
    parser.add_argument(
        '--jobs',
        type=int,
        default=0,
        metavar='N',
        help='runs at a time (default: the cores of the CPU, at most 4; 1 with a GPU)',
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='as in train.py')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    sweep = Sweep(
        args.configs,
        args.seeds,
        args.grid,
        args.out,
        args.val_fraction,
        args.cfg_options,
        args.methods,
        args.jobs,
    )
    print(f'{sweep.run(select=args.select == "val")} lists the runs')


if __name__ == '__main__':
    run_tool(
        main,
        'Finished runs are kept, others up to their last checkpoint; the same command goes on.',
    )
