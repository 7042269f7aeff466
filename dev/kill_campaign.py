"""SIGKILL each command at random moments; the same command must go on and end as if undisturbed.

python dev/kill_campaign.py [STAGE...] --kills 50 --seed 0

All that a command writes lies in one folder: work folder, caches, the drawn data set. Up to three
runs of a command are killed in a row, the next one is left alone, and the folder must be that of an
undisturbed run: the same tensors bit for bit, the same results and files, no temporary ones beside
them. Processes are forked from this one, which has all imports behind it.
"""

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'tests' / 'describe')]

import torch
from crashing import wait
from describe_campaign import serving
from killing import Campaign, Stage, start
from yapf.yapflib import yapf_api

from mmpretrain_lmmreg.cli import (  # noqa: F401  what the commands would import by themselves
    sweep_runs,
    upstream,
)
from mmpretrain_lmmreg.demo import render
from mmpretrain_lmmreg.deploy import explain, export, onnx_model  # noqa: F401
from mmpretrain_lmmreg.describe import batch, convergence, merge  # noqa: F401
from mmpretrain_lmmreg.evidence import figures, processes, report  # noqa: F401
from mmpretrain_lmmreg.features import trunk

fork_context = multiprocessing.get_context('fork')
CONFIG = str(ROOT / 'configs' / 'lmmreg_demo.py')
SHORT = [
    'train_cfg.max_epochs=5',
    'default_hooks.checkpoint.interval=1',
    'train_dataloader.batch_size=16',
]
LONGER = 'train_cfg.max_epochs=20'  # about as long as filling the feature table
ON_IMAGES = [
    'train_cfg.type=EpochBasedTrainLoop',
    'val_cfg.type=ValLoop',
    'test_cfg.type=TestLoop',
    'train_dataloader.num_workers=1',
    'val_dataloader.num_workers=1',
]


def train(*options: str) -> list[str]:
    """A short run of the demo."""
    return ['train', CONFIG, '--work-dir', 'work', '--resume', '--cfg-options', *SHORT, *options]


SWEEP = ['sweep', CONFIG, '--methods', 'finetune', '--seeds', '0', '1', '--jobs', '2']
SWEEP += ['--out', 'sweep', '--cfg-options', *SHORT]
DESCRIBE = ['describe', CONFIG, '--out', 'd.jsonl']
ENDPOINT = partial(serving, latency=0.02)
ASK = ['--describer', 'openai', '--model', 'm']
TRAINED, DATA = 'work/epoch_5.pth', 'cache/demo-*'
STAGES = {
    'training': Stage(train(LONGER), (DATA,), goes_on='resumed epoch'),
    'images': Stage(train(*ON_IMAGES), (DATA,), goes_on='resumed epoch', alone=True),
    'sweep': Stage(SWEEP, (DATA,), alone=True),
    'compare': Stage(
        ['compare', 'sweep', '--baseline', 'finetune', '--out', 'table'], (DATA, 'sweep')
    ),
    'export': Stage(
        ['export', CONFIG, TRAINED, 'exported'],
        (DATA, 'work'),
        refuses='is there already',
    ),
    'test': Stage(['test', CONFIG, TRAINED, '--work-dir', 'tested'], ('work',)),
    'predict': Stage(
        ['predict', CONFIG, TRAINED, 'cache/*/test/*/*.png', '--json'], (DATA, 'work')
    ),
    'describe': Stage([*DESCRIBE, *ASK], (DATA,), around=ENDPOINT),
    'reparse': Stage([*DESCRIBE, '--reparse'], (DATA, 'd.jsonl')),
    'merge': Stage([*DESCRIBE, '--merge', 'a.jsonl', 'b.jsonl'], (DATA, 'a.jsonl', 'b.jsonl')),
}


def prepare(root: Path, names: list[str]) -> None:
    """Make in ``root/given`` what the named stages start from, by commands that nobody disturbs."""
    given = root / 'given'
    given.mkdir()
    os.environ['LMMREG_CACHE'] = str(given / 'cache')
    render.demo_folder()
    made = {'work': train(), 'sweep': SWEEP}
    for out, part in (('a.jsonl', '1/2'), ('b.jsonl', '2/2'), ('d.jsonl', '1/1')):
        made[out] = ['describe', CONFIG, *ASK, '--out', out, '--shard', part]
    with ENDPOINT():
        for out in sorted(made.keys() & {each for name in names for each in STAGES[name].given}):
            if wait(start(made[out], given)):
                sys.exit((root / 'output.txt').read_text())


def run(name: str, root: Path, kills: int, seed: int) -> bool:
    """Kill a stage ``kills`` times and print the figures; gives whether all ended alike."""
    begun = time.monotonic()
    with STAGES[name].around():
        campaign = Campaign(STAGES[name], root, random.Random(f'{seed} {name}'))
        while campaign.hits < kills:
            campaign.episode()
    c = campaign
    went_on = f', {c.went_on} of them from a checkpoint' if c.stage.goes_on else ''
    print(
        f'{name}: {c.hits} kills within {c.took:.1f} s of CPU time, {c.resumed} resumed runs'
        f'{went_on}, {len(c.wrong)} differences, {time.monotonic() - begun:.0f} s',
        *(f'\n    {each}' for each in c.wrong[:20]),
        flush=True,
    )
    return not c.wrong


def main() -> None:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('stages', nargs='*', metavar='STAGE', help=f'of {", ".join(STAGES)}')
    parser.add_argument('--kills', type=int, default=50, help='of each stage (50)')
    parser.add_argument('--seed', type=int, default=0, help='of the moments (0)')
    args = parser.parse_args()
    torch.set_num_threads(1)
    # a quarter of the demo's pictures, and the feature table written every 64: more often killed
    # where something is written
    render.TRAIN_GROUPS, render.TIED_GROUPS, render.TEST_GROUPS = 5, 4, 12
    trunk.CHUNK = 64
    yapf_api.FormatCode = lambda text, **_: (text, True)  # takes most of a short run's time
    # runs of a sweep are forked, too: its own way imports for seconds what is imported here
    processes.multiprocessing.get_context = lambda _: fork_context
    stages = args.stages or list(STAGES)
    print(f'seed {args.seed}', flush=True)
    with tempfile.TemporaryDirectory(dir=os.environ.get('CAMPAIGN_DIR')) as folder:
        prepare(Path(folder), stages)
        held = [run(name, Path(folder), args.kills, args.seed) for name in stages]
    sys.exit(not all(held))


if __name__ == '__main__':
    main()
