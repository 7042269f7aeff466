"""The runs of sweep.py, each in a process that has all imports behind it."""

import gc
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import matplotlib.backends.backend_agg
import matplotlib.figure  # noqa: F401  like others here, what each run would import by itself
import mmpretrain.visualization  # noqa: F401
import torch
import torch.utils.cpp_extension
from mmengine.config import Config, DictAction

from ..evidence.processes import OUTPUT
from ..evidence.sweep import Sweep
from ..io.lock import locked
from .run_tool import run_tool
from .upstream import train

_ = Config().pretty_text  # imports what formats configs


def run(args: Namespace) -> None:
    """Train what is not trained yet."""
    sweep = Sweep(
        args.configs,
        args.seeds,
        args.grid,
        args.out,
        args.val_fraction,
        _settings(args.cfg_options),
        args.methods,
        args.jobs,
        args.seeded,
    )
    with locked(args.out / '.lock', 'or take another --out'):
        print(f'{sweep.run(train_here, select=args.select == "val")} lists the runs')


def _settings(given: list[str] | None) -> dict | None:
    """``KEY=VALUE``... as train.py reads them, by an action that mmengine brings."""
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args(['--cfg-options', *given]).cfg_options if given else None


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
