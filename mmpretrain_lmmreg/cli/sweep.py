"""Train configs x methods x seeds x grid.

python tools/sweep.py CONFIG... --methods NAME... --seeds 0 1 2 --out DIR
"""

import argparse
import gc
import os
import sys
from pathlib import Path

import matplotlib.backends.backend_agg
import matplotlib.figure  # noqa: F401  like others here, what each run would import by itself
import mmpretrain.visualization  # noqa: F401
import torch
import torch.utils.cpp_extension
from mmengine.config import DictAction
from yapf.yapflib import yapf_api  # noqa: F401

from ..evidence.processes import OUTPUT
from ..evidence.sweep import Sweep
from ..lock import locked
from .run_tool import run_tool
from .upstream import train

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
        'trained with, beside its own',
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
    p.add_argument('--cfg-options', nargs='+', action=DictAction, help='as in train.py')
    return p


def main() -> None:
    """Train what is not trained yet."""
    args = parser().parse_args()
    sweep = Sweep(
        args.configs,
        args.seeds,
        args.grid,
        args.out,
        args.val_fraction,
        args.cfg_options,
        args.methods,
        args.jobs,
        args.seeded,
    )
    with locked(args.out / '.lock', 'or take another --out'):
        print(f'{sweep.run(train_here, select=args.select == "val")} lists the runs')


def train_here(config: Path, folder: Path, threads: int) -> None:
    """``tools/train.py CONFIG --work-dir FOLDER --resume`` in this process."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / OUTPUT, 'ab') as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    torch.set_num_threads(threads)
    gc.freeze()  # mmengine collects garbage with each data set: spare the libraries' objects
    sys.argv = ['train.py', str(config), '--work-dir', str(folder), '--resume']
    run_tool(train)
