"""The runs of sweep.py, each in a process that has all imports behind it."""

import gc
import os
import shlex
import sys
from argparse import Namespace
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.backends.backend_agg
import matplotlib.figure  # noqa: F401  like others here, what each run would import by itself
import mmpretrain.visualization  # noqa: F401
import torch
import torch.utils.cpp_extension
from mmengine.config import Config

from ..evidence.processes import OUTPUT
from ..evidence.runs import run_name
from ..evidence.sweep import Sweep
from ..hooks.run_folder import load_run
from ..io.lock import locked
from ..io.printing import plain
from .run_tool import run_tool
from .upstream import settings_of, train

_ = Config().pretty_text  # imports what formats configs


def run(args: Namespace) -> None:
    """Train what is not trained yet."""
    sweep = Sweep(
        args.configs,
        args.seeds,
        args.grid,
        args.out,
        args.val_fraction,
        settings_of(args.cfg_options),
        args.methods,
        args.jobs,
        args.seeded,
    )
    select = args.select == 'val'
    sweep.plan(select)  # before the folder is made
    with locked(args.out / '.lock', 'or take another --out'):
        runs = sweep.run(train_here, select)
    print(plain(_outcome(args.out, runs)))


def _outcome(out: Path, runs: list[dict[str, Any]]) -> str:
    """What came out, where it is, and the next command."""
    found: dict[str, list[float]] = {}
    methods: dict[str, str] = {}
    splits = set()
    for run in runs:
        record = load_run(out / run['folder'])
        splits.add(record.get('curve_split') or 'no')
        name = run_name(run['method'], run['tuning'], run['options'])
        methods.setdefault(run['method'], name)
        accuracies = found.setdefault(name, [])
        accuracies += [100 * epoch['accuracy'] for epoch in record['epochs'][-1:]]
    width = max(map(len, found))
    lines = [f'{" / ".join(sorted(splits))} accuracy in percent, mean over seeds:']
    best_first = sorted(found.items(), key=lambda pair: -fmean(pair[1] or [0]))
    lines += [
        f'  {name:{width}} {fmean(each):6.2f}  (seeds: {len(each)})' if each else f'  {name}: –'
        for name, each in best_first
    ]
    baseline = methods.get('finetune') or next(iter(found))
    lines.append(f'The runs are listed in {out / "sweep.json"}. Next:')
    command = ['mmpretrain-lmmreg', 'compare', str(out), '--baseline', baseline]
    lines.append(f'  {shlex.join([*command, "--out", str(out / "comparison")])}')
    return '\n'.join(lines)


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
