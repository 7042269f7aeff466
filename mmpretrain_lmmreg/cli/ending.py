"""How a training shows itself on a terminal, and what train and test say at their end."""

import logging
import shlex
import sys
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..hooks.run_folder import load_predictions, load_run
from ..progress import Progress


class EpochBar(Hook):
    """A bar of epochs in place of a line for each, which the log file has; for a terminal."""

    bar: Progress | None = None
    note = ''

    def before_train_epoch(self, runner: Runner) -> None:
        """Show the bar once the features are there, whose own bar is gone then."""
        if self.bar is None and isinstance(runner.train_loop, EpochBasedTrainLoop):
            self.bar = Progress('epochs', runner.max_epochs).__enter__()
            self.bar.advance(runner.epoch)
            for handler in _terminal():
                self.stream = handler.setStream(sys.stdout)  # which the bar has made its own
                handler.addFilter(_is_no_epoch)

    def after_train_epoch(self, runner: Runner) -> None:
        """Count the epoch."""
        if self.bar is not None:
            self.bar.advance(note=self.note)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Show the accuracy behind the bar."""
        shown = [f'{key} {value:.2f}' for key, value in (metrics or {}).items()]
        self.note = ', '.join(shown[:1])

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.__exit__()
            self.bar = None
            for handler in _terminal():
                handler.setStream(self.stream)
                handler.removeFilter(_is_no_epoch)


def _terminal() -> list[logging.StreamHandler]:
    handlers = MMLogger.get_current_instance().handlers
    return [handler for handler in handlers if type(handler) is logging.StreamHandler]


def _is_no_epoch(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith('Epoch(')


def next_command(work_dir: str, checkpoint: str | None, name: str) -> str | None:
    """The command that follows a training or a test, ready to be pasted; None without results.

    Args:
        work_dir: The run's work folder.
        checkpoint: The tested checkpoint; by default the best or the last one of the folder.
        name: ``'predict'`` (an image of the test split) or ``'export'``.
    """
    folder = Path(work_dir)
    if not (folder / 'results' / 'run.json').is_file():
        return None
    last = folder / 'last_checkpoint'
    configs = sorted(folder.glob('*.py'), key=lambda path: path.stat().st_mtime)
    if checkpoint is None and last.is_file():
        best = sorted(folder.glob('best_*.pth'))
        checkpoint = str(best[-1]) if best else str(folder / Path(last.read_text()).name)
    if checkpoint is None or not configs:
        return None
    words = [str(configs[-1]), checkpoint, *_argument(folder, name)]
    script = Path(sys.argv[0])
    if script.suffix == '.py':
        return shlex.join(['python', str(script.with_name(f'{name}.py')), *words])
    return f'{sys.argv[0].rpartition(" ")[0]} {name} {shlex.join(words)}'


def _argument(folder: Path, name: str) -> list[str]:
    """What a command takes beside config and checkpoint: an image, or a folder to make."""
    if name == 'export':
        return [str(folder / 'exported')]
    run: dict[str, Any] = load_run(folder)
    splits = [split for split in run['splits'] if '@' not in split]
    root = run.get('data_root')
    if not splits or not root:
        return ['IMAGE']
    return [str(Path(root, str(load_predictions(folder, splits[0]).rel_path[0])))]
