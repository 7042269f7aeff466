"""How ``--help`` looks, and kinds of options that argparse does not have."""

import json
from argparse import (
    Action,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
    _ArgumentGroup,
)
from collections.abc import Callable, Sequence

from ..config import add_on
from ..errors import InputError


def command_parser(
    about: str | None, example: str, kind: type[ArgumentParser] = ArgumentParser
) -> ArgumentParser:
    """A parser whose help says first what the command does, and ends with an example.

    Args:
        about: What the command does, in lines of at most 100 characters.
        example: One command line that runs as it is printed.
        kind: Class of the parser.
    """
    return kind(
        description=about,
        epilog=f'example:\n  {example}',
        formatter_class=RawDescriptionHelpFormatter,
    )


def whole(least: int) -> Callable[[str], int]:
    """A type of option: a whole number of at least ``least``."""

    def read(text: str) -> int:
        if not text.removeprefix('-').isdecimal() or int(text) < least:
            raise ArgumentTypeError(f'{text}: give a whole number of at least {least}')
        return int(text)

    return read


def positive(text: str) -> float:
    """A type of option: a number above 0."""
    try:
        if 0 < (number := float(text)) < float('inf'):
            return number
    except ValueError:
        pass
    raise ArgumentTypeError(f'{text}: give a number above 0')


def price(text: str) -> tuple[float, float]:
    """A type of option: what a million tokens cost, ``IN,OUT``."""
    try:
        first, second = (float(part) for part in text.split(','))
    except ValueError:
        raise ArgumentTypeError(f'{text}: write IN,OUT, such as 0.15,0.60') from None
    return first, second


def check_describer(args: Namespace, *needing: str) -> None:
    """Raise InputError where one of these options is given, and ``--describer`` is not."""
    given = [name for name in needing if getattr(args, name) not in (None, '')]
    if given and not args.describer:
        raise InputError(
            f'--{given[0].replace("_", "-")} needs --describer: say what kind of model is asked',
            code='config.bad_option',
        )


class KeyValues(Action):
    """``KEY=VALUE``...: a value is a number, true, false or null where it reads so, else text."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: str | Sequence[str] | None,
        option_string: str | None = None,
    ) -> None:
        """Add the pairs to those given before."""
        given = dict(getattr(namespace, self.dest) or {})
        for item in values or ():
            key, equals, value = item.partition('=')
            if not equals:
                parser.error(f'{option_string} {item}: write KEY=VALUE')
            given[key] = _value(value)
        setattr(namespace, self.dest, given)


def _value(text: str) -> object:
    try:
        return json.loads({'True': 'true', 'False': 'false', 'None': 'null'}.get(text, text))
    except ValueError:
        return text


def key_value(text: str) -> str:
    """A type of option: ``KEY=VALUE``."""
    if not text.partition('=')[1] or text.startswith('='):
        raise ArgumentTypeError(f'{text}: write KEY=VALUE')
    return text


def add_upstream_options(parser: ArgumentParser) -> _ArgumentGroup:
    """Add what mmpretrain's train.py and test.py have in common, and ``--on``.

    mmpretrain's own parsers need torch; a test compares these options with them.

    Returns:
        The group of options on loading and processes.
    """
    group = parser.add_argument_group('data and settings')
    add_on(group)
    options = (
        'replace settings of the config, such as model.head.alpha=0.1; write a list as '
        'KEY="[a,b]" or KEY=a,b, without spaces'
    )
    group.add_argument(
        '--cfg-options', nargs='+', type=key_value, metavar='KEY=VALUE', help=options
    )
    group = parser.add_argument_group('loading and processes')
    add = group.add_argument
    add('--no-pin-memory', action='store_true', help='do not pin the memory of loaded batches')
    launcher = 'what starts the processes of a distributed run (none)'
    kinds = ['none', 'pytorch', 'slurm', 'mpi']
    add('--launcher', choices=kinds, default='none', help=launcher)
    rank = 'rank on this machine; some launchers set it'
    add('--local_rank', '--local-rank', type=int, default=0, metavar='RANK', help=rank)
    return group
