"""mmengine's Runner as the commands use it: a short log on the terminal, no config overwritten."""

import logging
import os
import sys
from pathlib import Path

from mmengine.dist import is_main_process, master_only
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from ..io.files import save_atomic
from ..io.printing import plain
from ..progress import Progress
from ..runner import LMMRegRunner

# How messages begin that fill screens; the log file has them
FILE_ONLY = (
    '\n---',  # system and runtime environment
    'Config:\n',
    'Hooks will be executed',
    'Distributed training is not used',
    'Using env variable',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'Checkpoints will be saved to',
    'Exp name:',
    'Saving checkpoint at',
)


def shorten_terminal(logger: MMLogger) -> None:
    """Leave what begins like one of ``FILE_ONLY`` out of what a logger writes to the terminal.

    Names in its lines, of classes say, hold nothing that a terminal would obey.
    """
    logger.addFilter(_make_plain)
    for handler in _terminal(logger):
        handler.addFilter(_is_short)


def quiet_log() -> None:
    """Of the log, keep the warnings, on stderr: stdout is for the results."""
    logger = MMLogger.get_current_instance()
    logger.setLevel(logging.WARNING)
    for handler in _terminal(logger):
        handler.stream = sys.stderr


def _terminal(logger: MMLogger) -> list[logging.StreamHandler]:
    return [each for each in logger.handlers if type(each) is logging.StreamHandler]


def _make_plain(record: logging.LogRecord) -> bool:
    record.msg, record.args = plain(record.getMessage()), ()
    return True


def _is_short(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(FILE_ONLY)


class EpochBar(Hook):
    """A bar of epochs in place of a line for each, which the log file has; for a terminal."""

    bar: Progress | None = None
    note = ''

    def before_train_epoch(self, runner: Runner) -> None:
        """Show the bar once the features are there, whose own bar is gone then."""
        if self.bar is None and isinstance(runner.train_loop, EpochBasedTrainLoop):
            self.bar = Progress('epochs', runner.max_epochs).__enter__()
            self.bar.advance(runner.epoch)
            for handler in _terminal(MMLogger.get_current_instance()):
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
            for handler in _terminal(MMLogger.get_current_instance()):
                handler.setStream(self.stream)
                handler.removeFilter(_is_no_epoch)


def _is_no_epoch(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith('Epoch(')


class CommandRunner(LMMRegRunner):
    """``LMMRegRunner`` that writes the config into the work folder once nothing refuses the run.

    A start that is refused leaves the config of an earlier run there as it was, and so does a test.
    """

    dumped = False

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build the logger, with a short log on the terminal."""
        logger = super().build_logger(*args, **kwargs)
        shorten_terminal(logger)
        return logger

    def train(self) -> nn.Module:
        """Train, with a bar of epochs on a terminal."""
        if not (sys.stdout.isatty() and sys.stderr.isatty() and is_main_process()):
            return super().train()
        bar = EpochBar()
        self.register_hook(bar, 'VERY_LOW')
        try:
            return super().train()
        finally:
            bar.close()

    def dump_config(self) -> None:
        """Do nothing yet: the first epoch will."""

    @master_only
    def _write_config(self, path: Path) -> None:
        with save_atomic(path) as file:  # what a link there leads to stays as it is
            file.write(self.cfg.dump().encode())

    def call_hook(self, fn_name: str, **kwargs) -> None:
        """Call the hooks; when the first epoch begins, write the config."""
        if not self.dumped and fn_name in ('before_train_epoch', 'before_test_epoch'):
            self.dumped = True
            name = os.path.basename(self.cfg.filename or f'{self.timestamp}.py')
            path = Path(self.work_dir, name)
            if fn_name == 'before_train_epoch' or not path.is_file():
                self._write_config(path)
        super().call_hook(fn_name, **kwargs)
