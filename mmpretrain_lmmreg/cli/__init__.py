"""The commands: one module each, with ``main()``, and ``KEPT``, what Ctrl-C leaves behind."""

import sys
from importlib import import_module

from ..config import config_folder
from .run_tool import run_tool

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
    """Run a command with the arguments of this process; see :func:`run_tool`."""
    module = import_module(f'.{name}', __name__)
    run_tool(module.main, getattr(module, 'KEPT', ''))


def main() -> None:
    """``mmpretrain-lmmreg COMMAND ...``: the same as ``python tools/COMMAND.py ...``."""
    name = sys.argv[1] if len(sys.argv) > 1 else '--help'
    if name in COMMANDS:
        sys.argv = [f'mmpretrain-lmmreg {name}', *sys.argv[2:]]
        run(name)
    elif name == 'configs':
        print(config_folder())
    else:
        lines = [f'  {command:15} {text}' for command, text in COMMANDS.items()]
        lines.append(f'  {"configs":15} print the folder of the configs that come along')
        print('usage: mmpretrain-lmmreg COMMAND ...\n\n' + '\n'.join(lines))
        sys.exit(0 if name in ('-h', '--help') else 2)
