"""SIGKILL each command at random moments; the same command must go on and end as if undisturbed.

python tests/kill_campaign.py [STAGE...] --kills 50 --seed 0

All that a command writes lies in one folder: work folder, caches, the drawn data set. Up to three
runs of a command are killed in a row, the next one is left alone, and the folder must be that of an
undisturbed run: the same tensors bit for bit, the same results and files, no temporary ones beside
them. Processes are forked from this one, which has all imports behind it.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'describe')]

# ruff: noqa: E402
import torch
from folder_content import content
from loopback import Loopback
from yapf.yapflib import yapf_api

import mmpretrain_lmmreg_start
from mmpretrain_lmmreg.cli import (  # noqa: F401  what the commands would import by themselves
    describe_run,
    sweep_runs,
    upstream,
)
from mmpretrain_lmmreg.demo import render
from mmpretrain_lmmreg.deploy import explain, export, onnx_model  # noqa: F401
from mmpretrain_lmmreg.evidence import figures, processes, report  # noqa: F401
from mmpretrain_lmmreg.features import trunk

fork_context = multiprocessing.get_context('fork')
CONFIG = str(ROOT / 'configs' / 'lmmreg_demo.py')
SHORT = [
    'train_cfg.max_epochs=5',
    'default_hooks.checkpoint.interval=1',
    'train_dataloader.batch_size=16',
]
ON_IMAGES = [
    'train_cfg.type=EpochBasedTrainLoop',
    'val_cfg.type=ValLoop',
    'test_cfg.type=TestLoop',
    'train_dataloader.num_workers=1',
    'val_dataloader.num_workers=1',
]
# The demo's pictures are square and its pipeline crops none, as an exported folder does
CROPPED = f"""\
_base_ = [{CONFIG!r}]
pipeline = [
    dict(type='LoadPicture'),
    dict(type='ResizeEdge', scale=64, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=64),
    dict(type='PackInputs'),
]
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=pipeline))
"""
IN_A_ROW = 3  # runs of a command that are killed one after the other


@dataclass
class Stage:
    """A command, and how it is killed.

    Args:
        argv: The command and its arguments; paths are relative to its folder.
        given: Patterns of the files that it starts from, below the folder of ``prepare``.
        goes_on: What a run prints that goes on from where another one was killed.
        refuses: What it prints, with exit code 2, where nothing is left to do.
        alone: Every other time only its first process is killed; the others must end themselves.
        around: What is there while it runs.
    """

    argv: list[str]
    given: tuple[str, ...] = ()
    goes_on: str = ''
    refuses: str = ''
    alone: bool = False
    around: Callable[[], AbstractContextManager] = nullcontext


@contextmanager
def endpoint() -> Iterator[None]:
    """A server on loopback that describes images, and the environment that points at it."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with Loopback(latency=0.02) as server:
            os.write(writer, server.url.encode())
            signal.pause()
    os.environ.update(OPENAI_BASE_URL=os.read(reader, 99).decode(), OPENAI_API_KEY='none')
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def train(*options: str) -> list[str]:
    """A short run of the demo."""
    return ['train', CONFIG, '--work-dir', 'work', '--resume', '--cfg-options', *SHORT, *options]


SWEEP = ['--methods', 'finetune', '--seeds', '0', '1', '--jobs', '2', '--out', 'sweep']
DESCRIBE = ['describe', CONFIG, '--out', 'd.jsonl']
ASK = ['--describer', 'openai', '--model', 'm']
TRAINED, DATA = 'work/epoch_5.pth', 'cache/demo-*'
STAGES = {
    'training': Stage(train(), (DATA,), goes_on='resumed epoch'),
    'images': Stage(train(*ON_IMAGES), (DATA,), goes_on='resumed epoch', alone=True),
    'sweep': Stage(['sweep', CONFIG, *SWEEP, '--cfg-options', *SHORT], (DATA,), alone=True),
    'compare': Stage(
        ['compare', 'sweep', '--baseline', 'finetune', '--out', 'table'], (DATA, 'sweep')
    ),
    'export': Stage(
        ['export', 'cropped.py', TRAINED, 'exported'],
        (DATA, 'work', 'cropped.py'),
        refuses='is there already',
    ),
    'test': Stage(['test', CONFIG, TRAINED, '--work-dir', 'tested'], ('work',)),
    'predict': Stage(['predict', CONFIG, TRAINED, 'cache/*/test', '--json'], (DATA, 'work')),
    'describe': Stage([*DESCRIBE, *ASK], (DATA,), around=endpoint),
    'reparse': Stage([*DESCRIBE, '--reparse'], (DATA, 'd.jsonl')),
    'merge': Stage([*DESCRIBE, '--merge', 'a.jsonl', 'b.jsonl'], (DATA, 'a.jsonl', 'b.jsonl')),
}


def start(argv: list[str], folder: Path) -> int:
    """Run a command in a forked process that leads a session; gives its id.

    What it prints goes into ``output.txt`` beside ``folder``.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        os.environ['LMMREG_CACHE'] = str(folder / 'cache')
        with open(folder.with_name('output.txt'), 'wb') as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        sys.argv = [f'{argv[0]}.py', *argv[1:]]
        mmpretrain_lmmreg_start.run(argv[0])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(child: int) -> int:
    """The exit code, negative where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def seconds_of(process: int) -> float:
    """Seconds of CPU time that a process and its children have taken: on a busy machine, too,
    they tell how far a command has come."""
    try:
        fields = Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()
        children = Path(f'/proc/{process}/task/{process}/children').read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    if fields[0] == 'Z':
        return float('inf')
    own = sum(map(int, fields[11:15])) / os.sysconf('SC_CLK_TCK')
    return own + sum(seconds for c in children if (seconds := seconds_of(int(c))) < float('inf'))


def kill(child: int, alone: bool) -> None:
    """Kill a process, or its whole group; it may have ended."""
    with suppress(ProcessLookupError):
        (os.kill if alone else os.killpg)(child, signal.SIGKILL)


class Campaign:
    """A stage that is killed over and over, below ``root``, and what was seen.

    ``hits`` counts the kills that met a living process, ``resumed`` the runs after them that
    ended well, ``went_on`` those that went on from a checkpoint; ``wrong`` says what was unlike
    an undisturbed run.
    """

    def __init__(self, stage: Stage, root: Path, chance: random.Random) -> None:
        self.stage, self.root, self.chance = stage, root, chance
        self.folder = root / 'now'
        self.hits = self.resumed = self.went_on = 0
        self.wrong: list[str] = []
        self.begin()
        before = sum(os.times()[2:4])
        code = wait(start(stage.argv, self.folder))
        self.took = sum(os.times()[2:4]) - before
        self.expected = self.result(code)
        if self.wrong:
            sys.exit(f'undisturbed: {self.wrong[0]}')

    def begin(self) -> None:
        """Make the folder that the command starts in."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for pattern in self.stage.given:
            for path in (self.root / 'given').glob(pattern):
                copy_to = self.folder / path.relative_to(self.root / 'given')
                copy_to.parent.mkdir(exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, copy_to)

    def result(self, code: int) -> dict[str, object]:
        """What the command left and, for predict.py, printed."""
        printed = (self.root / 'output.txt').read_text(errors='replace')
        self.went_on += bool(self.stage.goes_on) and self.stage.goes_on in printed
        refused = bool(self.stage.refuses) and code == 2 and self.stage.refuses in printed
        if not (code == 0 or refused) or 'Traceback' in printed:
            self.wrong.append(f'exit code {code}: {printed[-2000:]}')
        return {
            **content(self.folder),
            'printed': printed if self.stage.argv[0] == 'predict' else '',
        }

    def wait_until(self, child: int, seconds: float) -> None:
        """Wait until a command has taken so much CPU time, and a few ms more, or has ended."""
        while seconds_of(child) < seconds:
            time.sleep(0.01)
        time.sleep(self.chance.uniform(0, 0.02))

    def episode(self) -> None:
        """Kill the command up to ``IN_A_ROW`` times, let it end, and compare."""
        self.begin()
        kills, code, children = 0, -signal.SIGKILL, []
        while code == -signal.SIGKILL:
            children.append(start(self.stage.argv, self.folder))
            if kills < IN_A_ROW:
                self.wait_until(children[-1], self.chance.uniform(0, self.took))
                kill(children[-1], self.stage.alone and self.chance.random() < 0.5)
            code = wait(children[-1])
            kills += code == -signal.SIGKILL
        now = self.result(code)
        for child in children:
            kill(child, alone=False)
        self.hits += kills
        self.resumed += kills > 0
        for path in sorted(self.expected.keys() | now.keys()):
            if self.expected.get(path) != now.get(path):
                self.wrong.append(f'{path} after {kills} kills')


def prepare(root: Path) -> None:
    """Make in ``root/given`` what the stages start from, by commands that nobody disturbs."""
    (root / 'given').mkdir()
    (root / 'given' / 'cropped.py').write_text(CROPPED)
    made = [train(), STAGES['sweep'].argv]
    shards = [('a.jsonl', '1/2'), ('b.jsonl', '2/2'), ('d.jsonl', '1/1')]
    made += [['describe', CONFIG, '--out', out, *ASK, '--shard', part] for out, part in shards]
    with endpoint():
        for argv in made:
            if wait(start(argv, root / 'given')):
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
    print(f'seed {args.seed}', flush=True)
    with tempfile.TemporaryDirectory(dir=os.environ.get('CAMPAIGN_DIR')) as folder:
        prepare(Path(folder))
        held = [run(name, Path(folder), args.kills, args.seed) for name in args.stages or STAGES]
    sys.exit(not all(held))


if __name__ == '__main__':
    main()
