"""A command that is killed over and over, and compared with an undisturbed run of it."""

import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from crashing import wait
from folder_content import content

from mmpretrain_lmmreg.cli.main import run

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
        run(argv[0])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def seconds_of(process: int) -> float:
    """Seconds of CPU time that a process and its children have taken; infinite where it ended.

    Unlike seconds of a clock, they tell how far a command has come on a busy machine, too.
    """
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


def unlike(expected: object, found: object) -> str:
    """Where two contents differ, cut to a line."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [k for k in {**expected, **found} if expected.get(k) != found.get(k)]
        return '; '.join(f'{k}: {unlike(expected.get(k), found.get(k))}' for k in keys)
    return f'{str(expected)[-200:]} became {str(found)[-200:]}'


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
            'printed': printed[printed.find('[\n') :] if '--json' in self.stage.argv else '',
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
                what = unlike(self.expected.get(path), now.get(path))
                self.wrong.append(f'{path} after {kills} kills: {what}')
