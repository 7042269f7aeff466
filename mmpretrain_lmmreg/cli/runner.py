"""mmengine's Runner as the commands use it: a short log on the terminal, no config overwritten."""

import logging
import os
import sys
from pathlib import Path

from mmengine.dist import is_main_process, master_only
from mmengine.logging import MMLogger
from torch import nn

from ..io.files import save_atomic
from ..io.printing import plain
from ..runner import LMMRegRunner
from .ending import EpochBar

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
    'Left out, by name:',
)


def shorten_terminal(logger: MMLogger) -> None:
    """Leave what begins like one of ``FILE_ONLY`` out of what a logger writes to the terminal.

    Names in its lines, of classes say, hold nothing that a terminal would obey.
    """
    logger.addFilter(_make_plain)
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.addFilter(_is_short)


def quiet_log() -> None:
    """Of the log, keep the warnings, on stderr: stdout is for the results."""
    logger = MMLogger.get_current_instance()
    logger.setLevel(logging.WARNING)
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.stream = sys.stderr


def _make_plain(record: logging.LogRecord) -> bool:
    record.msg, record.args = plain(record.getMessage()), ()
    return True


def _is_short(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(FILE_ONLY)


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
