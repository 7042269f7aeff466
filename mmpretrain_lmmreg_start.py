"""Starts a command of mmpretrain_lmmreg: first its arguments, then the package.

Importing the package registers its components, for which it imports torch and mmpretrain, in
seconds. That must stay so, since configs name it in ``custom_imports``; but a command's options
need neither. So this module lies beside the package: a ``--help`` or a wrong option ends before.
"""

import gc
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec, module_from_spec

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
    register = _package_unexecuted()
    command = import_module(f'{PACKAGE}.cli.{name}')
    command.parser().parse_args()  # ends here for --help and for options that are wrong
    gc.disable()  # what is imported stays: neither now nor in the run (mmengine collects with
    register()  # every data set) is it worth the second or two that looking through it takes
    gc.freeze()
    gc.enable()
    run_tool = import_module(f'{PACKAGE}.cli.run_tool').run_tool
    run_tool(command.main, getattr(command, 'KEPT', ''))


def _package_unexecuted() -> Callable[[], None]:
    """Let the package's modules be imported without it; gives the function that executes it."""
    if PACKAGE in sys.modules:  # a program that runs commands itself
        return lambda: None
    spec = find_spec(PACKAGE)
    assert spec and spec.loader
    sys.modules[PACKAGE] = package = module_from_spec(spec)
    return partial(spec.loader.exec_module, package)


def main() -> None:
    """``mmpretrain-lmmreg COMMAND ...``: the same as ``python tools/COMMAND.py ...``."""
    name = sys.argv[1] if len(sys.argv) > 1 else '--help'
    if name in COMMANDS:
        sys.argv = [f'mmpretrain-lmmreg {name}', *sys.argv[2:]]
        run(name)
    elif name == 'configs':
        _package_unexecuted()
        print(import_module(f'{PACKAGE}.config').config_folder())
    else:
        lines = [f'  {command:15} {text}' for command, text in COMMANDS.items()]
        lines.append(f'  {"configs":15} print the folder of the configs that come along')
        print('usage: mmpretrain-lmmreg COMMAND ...\n\n' + '\n'.join(lines))
        sys.exit(0 if name in ('-h', '--help') else 2)
