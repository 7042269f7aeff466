"""Rooms use those below them, and every error of the user has a code: read from the sources."""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

import mmpretrain_lmmreg
from mmpretrain_lmmreg.errors import CODES

PACKAGE = Path(mmpretrain_lmmreg.__file__).parent
SIDE = ['version', 'torchvision_ops', 'compat', 'errors', 'config', 'progress']  # below all rooms
ROOMS = ['io', 'demo', 'clip', 'descriptions', 'datasets', 'text', 'features', 'heads', 'hooks']
ROOMS += ['describe', 'deploy', 'evidence', 'runner', 'fitting', 'cli', 'register', '__main__']
RANKS = dict.fromkeys(SIDE, 0) | {room: rank for rank, room in enumerate(ROOMS, 1)}


@cache
def sources() -> list[tuple[str, Path, ast.Module]]:
    """Room, file and syntax tree of each module of the package."""
    return [
        (path.relative_to(PACKAGE).with_suffix('').parts[0], path, ast.parse(path.read_bytes()))
        for path in sorted(PACKAGE.rglob('*.py'))
        if path != PACKAGE / '__init__.py'
    ]


def imported(path: Path, tree: ast.Module) -> Iterator[str]:
    """Rooms of this package that a module imports, wherever in it."""
    package = '.'.join(('mmpretrain_lmmreg', *path.relative_to(PACKAGE).parent.parts))
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            module = resolve_name('.' * node.level + (node.module or ''), package)
            names = [f'{module}.{alias.name}' for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            own, _, rest = name.partition('mmpretrain_lmmreg.')
            if not own and rest and rest.partition('.')[0] in RANKS:
                yield rest.partition('.')[0]


def test_each_module_has_a_room():
    assert {room for room, _, _ in sources()} <= RANKS.keys()


def test_rooms_import_only_those_below_them():
    edges = {
        (room, other)
        for room, path, tree in sources()
        for other in imported(path, tree)
        if room != other
    }
    assert ('cli', 'io') in edges
    assert not {(a, b) for a, b in edges if RANKS[a] <= RANKS[b] and a not in SIDE}
    assert not {(a, b) for a, b in edges if a in SIDE and b not in SIDE}


def error_classes() -> set[str]:
    """Names of ``InputError`` and the classes of this package that are made from it."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for _, _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {'InputError'}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


@cache
def codes_of_errors() -> list[tuple[str, str, object]]:
    """Room, place and code (None without a literal one) of each error that is made."""
    kinds, found = error_classes(), []
    for room, path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                if name in kinds:
                    given = [word.value for word in node.keywords if word.arg == 'code']
                    literal = given and isinstance(given[0], ast.Constant)
                    place = f'{path.relative_to(PACKAGE)}:{node.lineno}'
                    found.append((room, place, given[0].value if literal else None))
    return found


def test_every_error_has_a_code_that_is_listed():
    assert not {place for _, place, code in codes_of_errors() if code not in CODES}


def test_every_code_is_used():
    assert CODES.keys() == {code for _, _, code in codes_of_errors() if code in CODES}
