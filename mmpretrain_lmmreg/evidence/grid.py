"""The settings of a sweep: what is tried, and what each is called."""

import ast
from collections.abc import Sequence
from itertools import product
from typing import Any

from ..errors import InputError

Options = dict[str, Any]


def tuning_of(run: dict, trials: list[Options], chosen: dict) -> str:
    """'default', 'tuned' or 'default = tuned'; '' for a point of a grid that nothing chose."""
    if run['options']:
        return 'tuned' if chosen else ''
    return 'default = tuned' if run['method'] in chosen and len(trials) == 1 else 'default'


def grid_of(method: str, grid: Sequence[str], methods: Sequence[str]) -> list[Options]:
    """All settings of a method; the default one alone where no grid is meant for it."""
    axes = {}
    for text in grid:
        key, equals, values = text.partition('=')
        name, colon, setting = key.partition(':')
        if not equals or not values or not key or (colon and name not in methods):
            raise InputError(
                f'--grid {text}: write KEY=V1,V2 or METHOD:KEY=V1,V2 with a METHOD '
                f'among {", ".join(methods)}'
            )
        if not colon or name == method:
            axes[setting or key] = [literal(value) for value in values.split(',')]
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def literal(text: str) -> object:
    """A number, True, None... as such; anything else as text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def slug(options: Options) -> str:
    """Folder name of a setting."""
    text = ','.join(f'{key}={value}' for key, value in options.items())
    return text.replace('/', '_') or 'default'


def check_budgets(trials: dict[str, list[Options]]) -> None:
    """Raise InputError unless all methods with a grid have equally many settings."""
    counts = {name: len(each) for name, each in trials.items() if each != [{}]}
    if not counts:
        raise InputError('--select val has nothing to choose from: give a --grid')
    if len(set(counts.values())) > 1:
        text = ', '.join(f'{name} {count}' for name, count in counts.items())
        raise InputError(
            f'the methods have different budgets, in settings: {text}; give each a '
            'grid of the same size'
        )
