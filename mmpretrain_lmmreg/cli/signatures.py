"""What a component takes: the names of its settings, and which values fit their type hints."""

import ast
import inspect
import math
import textwrap
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

NUMBERS = (bool, int, float)
WORDS = {bool: 'True or False', int: 'a whole number', float: 'a finite number', str: 'a string'}
OURS = __name__.partition('.')[0]


def is_ours(component: object) -> bool:
    """Whether a class or function is this package's."""
    return getattr(component, '__module__', '').partition('.')[0] == OURS


def parameters_of(component: Callable) -> tuple[dict[str, tuple[Any, Any]], bool]:
    """Type hint and default of each setting, and whether there may be others.

    A class's ``**kwargs`` are its parents' settings where all that it does with them is to hand
    them to ``super().__init__``; else any name may be one.
    """
    found: dict[str, tuple[Any, Any]] = {}
    if not inspect.isclass(component):
        return _parameters(component), False
    for cls in component.__mro__:
        maker = vars(cls).get('__init__')
        if not inspect.isfunction(maker):
            continue
        found = {**_parameters(maker), **found}
        kinds = {p.kind: p.name for p in inspect.signature(maker).parameters.values()}
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            return found, False
        if not _hands_up(maker, kinds[inspect.Parameter.VAR_KEYWORD]):
            return found, True
    return found, True


def _parameters(function: Callable) -> dict[str, tuple[Any, Any]]:
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # of names that upstream imports for type checkers alone
        hints = {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name: (hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in named and name != 'self'
    }


def _hands_up(maker: Callable, name: str) -> bool:
    """Whether ``**name`` goes to ``super().__init__`` and, but for defaults, nowhere else."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(maker)))
    except (OSError, SyntaxError):
        return False
    uses = sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))
    handed = defaults = 0
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        target = ast.unparse(call.func)
        defaults += target == f'{name}.setdefault'
        if target.startswith('super(') and target.endswith('.__init__'):
            handed += any(k.arg is None and ast.unparse(k.value) == name for k in call.keywords)
    return handed == 1 and uses == handed + defaults


def misfit(value: Any, hint: Any) -> str | None:
    """What a value should be by its type hint, in words; None where it fits."""
    if any(fits(value, part) for part in _parts(hint)):
        return None
    words = [_words(part) for part in _parts(hint) if part is not type(None)]
    return ' or '.join(dict.fromkeys(words)) + ' or None' * (type(None) in _parts(hint))


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of a config fits one type; what cannot be told fits."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, part) for part in _parts(hint))
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    kind = origin or hint
    if not inspect.isclass(kind):
        return True
    if kind is not str and issubclass(kind, Sequence):
        given = isinstance(value, list | tuple)
        inner = [part for part in typing.get_args(hint) if part is not Ellipsis]
        one = len(inner) == 1
        return given and (not one or all(fits(item, inner[0]) for item in value))
    if kind in (str, type(None)):
        return isinstance(value, kind)
    # a dict, or of another class, for which a config may have a dict that makes one
    return not isinstance(value, str | bool | int | float | list | tuple | type(None))


def is_plain(hint: Any) -> bool:
    """Whether a hint is of numbers, switches or dicts, which upstream's hints are right about."""
    parts = [inner for part in _parts(hint) for inner in (part, *typing.get_args(part))]
    return any((typing.get_origin(part) or part) in (*NUMBERS, dict) for part in parts)


def _parts(hint: Any) -> tuple:
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if union else (hint,)


def _words(hint: Any) -> str:
    kind = typing.get_origin(hint) or hint
    if kind in WORDS:
        return WORDS[kind]
    if inspect.isclass(kind) and issubclass(kind, Mapping):
        return 'a dict'
    if inspect.isclass(kind) and issubclass(kind, Sequence):
        inner = [part for part in typing.get_args(hint) if part is not Ellipsis]
        known = len(inner) == 1 and inner[0] in WORDS
        return f'a list, each item {WORDS[inner[0]]}' if known else 'a list'
    return f'a {getattr(kind, "__name__", kind)}'
