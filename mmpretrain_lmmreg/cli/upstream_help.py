"""The options of mmpretrain's train.py and test.py, shown without importing torch."""

import argparse
import ast
import sys
from importlib.util import find_spec
from pathlib import Path

from ..config import add_on


class UpstreamParser:
    """What stands for the parser of mmpretrain's tool ``name`` before torch is imported.

    It shows the help, for which only the tool's function ``parse_args`` is executed, from its
    source; anything else the tool itself reads afterwards.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def parse_args(self) -> None:
        """Print the help and end the process, where it is asked for."""
        if {'-h', '--help'} & set(sys.argv[1:]):
            print(on_parser().format_help())
            parse_args_of(tool_file(self.name))()


def on_parser() -> argparse.ArgumentParser:
    """The parser of what these commands take beside mmpretrain's options: ``--on``."""
    parser = argparse.ArgumentParser(
        description='Ctrl-C keeps the last checkpoint and all features; --resume goes on. An '
        "option beside mmpretrain's, which follow:",
        add_help=False,
        allow_abbrev=False,
    )
    add_on(parser)
    return parser


def parse_args_of(file: Path):
    """The function ``parse_args`` of a script, without what the script imports.

    Names from outside of Python's library are stood for by a plain action, since that is what a
    parser takes of them; it would fail where it had to read an option.
    """
    space: dict = {}
    kept: list[ast.stmt] = []
    for part in ast.parse(file.read_text(encoding='utf-8')).body:
        if isinstance(part, ast.Import | ast.ImportFrom):
            module = getattr(part, 'module', None) or part.names[0].name
            if module.split('.')[0] in sys.stdlib_module_names:
                kept.append(part)
            else:
                space.update((alias.asname or alias.name, argparse.Action) for alias in part.names)
        elif isinstance(part, ast.FunctionDef) and part.name == 'parse_args':
            kept.append(part)
    exec(compile(ast.Module(kept, []), str(file), 'exec'), space)
    return space['parse_args']


def tool_file(name: str) -> Path:
    """``tools/<name>.py`` of the installed mmpretrain, in its wheel or its checkout.

    Raises:
        ImportError: it is in neither, or mmpretrain is not installed.
    """
    spec = find_spec('mmpretrain')  # does not import it
    if spec is None or not spec.origin:
        raise ImportError("mmpretrain is not installed: pip install 'mmpretrain_lmmreg[onedl]'")
    package = Path(spec.origin).parent
    places = [package / '.mim' / 'tools', package.parent / 'tools']
    for place in places:
        if (place / f'{name}.py').is_file():
            return place / f'{name}.py'
    raise ImportError(
        f"mmpretrain's tools/{name}.py is neither in {places[0]} nor in {places[1]}: install "
        'mmpretrain from its wheel, not by copying the package folder'
    )
