"""Starts a command of mmpretrain_lmmreg: first its arguments, then torch and mmpretrain.

Registering the components imports both, in seconds, which a ``--help`` or a wrong option need not.
"""

import gc
import sys
import warnings
from importlib import import_module

PACKAGE = 'mmpretrain_lmmreg'
COMMANDS = {
    'train': 'train a method on a data set',
    'test': 'test a checkpoint',
    'describe': 'ask a large multimodal model to describe images',
    'predict': 'classify pictures with a checkpoint',
    'export': 'make a folder that classifies with open_clip alone',
    'sweep': 'train configs x methods x seeds x settings',
    'compare': 'table, curves and report page of runs',
    'prepare_ucf101': "make UCF-101's images",
    'prepare_era': "make ERA's images",
    'prepare_bar': "check BAR's images",
}


def run(name: str) -> None:
    """Run a command with the arguments of this process; see ``cli.run_tool``."""
    command = import_module(f'{PACKAGE}.cli.{name}')
    command.parser().parse_args()  # ends here for --help and for options that are wrong
    # a good run prints it, and no user can act on it
    warnings.filterwarnings('ignore', "'pin_memory' argument is set as true but no accelerator")
    # What is imported stays: neither now nor in the run (mmengine collects with every data set) is
    # it worth the second or two that looking through it takes.
    gc.disable()
    import_module(f'{PACKAGE}.register')
    gc.freeze()
    gc.enable()
    run_tool = import_module(f'{PACKAGE}.cli.run_tool').run_tool
    run_tool(command.main, getattr(command, 'KEPT', ''))


def main() -> None:
    """``mmpretrain-lmmreg COMMAND ...``: the same as ``python tools/COMMAND.py ...``."""
    name = sys.argv[1] if len(sys.argv) > 1 else '--help'
    if name in COMMANDS:
        sys.argv = [f'mmpretrain-lmmreg {name}', *sys.argv[2:]]
        run(name)
    elif name == 'configs':
        print(import_module(f'{PACKAGE}.config').config_folder())
    else:
        lines = [f'  {command:15} {text}' for command, text in COMMANDS.items()]
        lines.append(f'  {"configs":15} print the folder of the configs that come along')
        print('usage: mmpretrain-lmmreg COMMAND ...\n\n' + '\n'.join(lines))
        sys.exit(0 if name in ('-h', '--help') else 2)
