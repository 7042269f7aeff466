"""What goes wrong through the user's inputs, as opposed to a bug of ours."""


class InputError(ValueError):
    """A mistake in a config, file or argument; the message says what to do.

    The command-line tools print it without a traceback.
    """


class MissingInputError(InputError, FileNotFoundError):
    """A file that a run needs is not there."""

    def __str__(self) -> str:  # OSError's own would print a tuple
        return str(self.args[0]) if self.args else ''


class UnreadableError(InputError):
    """Pictures that cannot be read, by file."""
