"""Starts a command: first its arguments, then torch and mmpretrain.

Registering the components imports both, in seconds, which a ``--help`` or a wrong option need not.
"""

import gc
import os
import signal
import sys
import threading
import time
import warnings
from difflib import get_close_matches
from importlib import import_module

COMMANDS = {
    'fit': 'find the best classifier for a folder of images',
    'train': 'train a method on a data set',
    'test': 'test a checkpoint',
    'describe': 'ask a large multimodal model to describe images',
    'predict': 'classify images with a checkpoint',
    'export': 'make a folder that classifies without mmpretrain',
    'sweep': 'train several methods, seeds and settings',
    'compare': 'compare runs: a table, curves and a report page',
    'prepare': 'make or check the images of a published data set',
    'configs': 'print the folder of the configs',
}


def main() -> None:
    """``mmpretrain-lmmreg COMMAND ...``, and the same by ``python -m mmpretrain_lmmreg``."""
    program = 'mmpretrain-lmmreg'
    if sys.argv[0].endswith('__main__.py'):
        program = 'python -m mmpretrain_lmmreg'
    name, *arguments = sys.argv[1:] or ['--help']
    if name in COMMANDS or name.startswith('prepare_'):
        sys.argv = [f'{program} {name}', *arguments]
        run(name)
    elif name in ('-h', '--help'):
        lines = [f'  {command:10} {text}' for command, text in COMMANDS.items()]
        print(f'usage: {program} COMMAND ...\n\n' + '\n'.join(lines))
        print(f'\n{program} COMMAND --help lists the options and gives an example.')
    else:
        near = get_close_matches(name, COMMANDS, 1)
        hint = f'; did you mean {near[0]}?' if near else '.'
        print(f'error: there is no command {name!r}{hint} See {program} --help', file=sys.stderr)
        sys.exit(2)


def run(name: str) -> None:
    """Run a command with the arguments of this process; see ``cli.run_tool``.

    Args:
        name: One of :data:`COMMANDS`; ``'prepare_bar'`` is ``'prepare'`` with the argument ``bar``.
    """
    if 'TORCHELASTIC_RUN_ID' in os.environ:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)  # some imports swallow a KeyboardInterrupt
    if name == 'configs':
        from ..config import config_folder

        print(config_folder())
        return
    name, _, data_set = name.partition('_')
    sys.argv[1:1] = [data_set] if data_set else []
    command = import_module(f'{__package__}.{name}')
    command.parser().parse_args()  # ends here for --help and for options that are wrong
    # a good run prints it, and no user can act on it
    warnings.filterwarnings('ignore', "'pin_memory' argument is set as true but no accelerator")
    # What is imported stays: neither now nor in the run (mmengine collects with every data set) is
    # it worth the second or two that looking through it takes.
    gc.disable()
    import_module('mmpretrain_lmmreg.register')
    gc.freeze()
    gc.enable()
    run_tool = import_module(f'{__package__}.run_tool').run_tool
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run_tool(command.main, getattr(command, 'KEPT', ''))


def _stop(*_: object) -> None:
    os.write(2, b'\nstopped before the command began.\n')
    os._exit(130)


def _end_with(launcher: int) -> None:
    """End this process, as if killed, once torchrun is gone; it would train on by itself."""
    while os.getppid() == launcher:
        time.sleep(0.5)
    os.write(2, b'torchrun has ended: this process ends, too.\n')
    os._exit(1)
