"""What goes wrong through the user's inputs, as opposed to a bug of ours."""

import math


class InputError(ValueError):
    """A mistake in a config, file or argument; the message says what to do.

    The command-line tools print it without a traceback.
    """


def require_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise InputError where a setting is not a finite number from ``low`` to ``high``."""
    if not (math.isfinite(value) and low <= value <= high):
        limits = f'at least {low:g}' if high == math.inf else f'between {low:g} and {high:g}'
        raise InputError(f'{name}={value} must be {limits}')


class MissingInputError(InputError, FileNotFoundError):
    """A file that a run needs is not there."""

    def __str__(self) -> str:  # OSError's own would print a tuple
        return str(self.args[0]) if self.args else ''


class UnreadableError(InputError):
    """Pictures that cannot be read, by file."""
