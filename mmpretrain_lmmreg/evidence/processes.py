"""Training runs in processes of their own, several at a time."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device

from ..config import load_config
from ..errors import InputError
from ..hooks.run_folder import load_run
from ..io.files import save_atomic
from ..progress import Progress

TrainHere = Callable[[Path, Path, int], None]  # of a config, a folder and a number of threads
OUTPUT = 'output.txt'  # in a run's folder: what it printed


def is_done(folder: Path) -> bool:
    """Whether a run of this folder is finished."""
    return (folder / 'results' / 'run.json').is_file() and load_run(folder)['finished']


def check_config(cfg: Config, folder: Path) -> Path:
    """Where the config of a run stands: beside its folder, into which mmengine writes its own.

    Raises:
        InputError: The folder was trained with another config.
    """
    path = folder.with_suffix('.py')
    if path.is_file() and load_config(path, None).to_dict() != cfg.to_dict():
        raise InputError(
            f'{folder} was trained with another config; take another --out, or remove the folder',
            code='evidence.other_config',
        )
    return path


def write_config(cfg: Config, folder: Path) -> Path:
    """Write a run's config, unless it is there; see :func:`check_config`."""
    path = check_config(cfg, folder)
    if not path.is_file():
        with save_atomic(path) as file:
            for key, value in cfg.to_dict().items():
                text = pformat(value, width=100, sort_dicts=False)
                file.write(f'{key} = {text}\n'.encode())
    return path


def default_jobs() -> int:
    """Runs at a time where nobody says: the cores of the CPU, at most four; one with a GPU."""
    return 1 if get_device() != 'cpu' else min(os.cpu_count() or 1, 4)


def train_all(
    train_here: TrainHere, runs: Sequence[tuple[Path, Path]], jobs: int, progress: Progress
) -> None:
    """Train (config, folder) pairs by ``train_here``, each in its own process, ``jobs`` at a time.

    What is running when one fails, at Ctrl-C, or when this process is killed, is ended; it goes
    on from its last checkpoint another time.

    Raises:
        InputError: a run failed; with the end of its output.
    """
    context: Any = multiprocessing.get_context('forkserver')
    # imports the heavy libraries and all components once
    context.set_forkserver_preload([train_here.__module__, 'mmpretrain_lmmreg.register'])
    # Small matrices are no faster on several threads, which then wait for each other
    threads = 1 if jobs > 1 else os.cpu_count() or 1
    waiting = list(reversed(runs))
    running: dict[Any, tuple[Any, Path]] = {}  # by the handle that tells its end
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                config, folder = waiting.pop()
                process = context.Process(
                    target=_in_child, args=(train_here, config, folder, threads)
                )
                process.start()
                running[process.sentinel] = process, folder
            for sentinel in wait(list(running)):
                process, folder = running.pop(sentinel)
                process.join()
                _check_exit(process.exitcode, folder)
                progress.advance(note=str(folder))
    finally:
        for process, _ in running.values():
            process.terminate()
            process.join()


def _in_child(train_here: TrainHere, config: Path, folder: Path, threads: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    train_here(config, folder, threads)


def _end_with_parent() -> None:
    """Wait until the process that started this one is gone, then end this one as if killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _check_exit(code: int | None, folder: Path) -> None:
    if code != 0:
        output = folder / OUTPUT
        lines = output.read_text('utf-8', 'replace').strip().splitlines()
        raise InputError(
            f'training in {folder} failed (exit code {code}); the end of {output}:\n'
            + '\n'.join(lines[-5:]),
            code='evidence.run_failed',
        )
