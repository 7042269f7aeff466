"""Text of others, as class names, file names and descriptions, made safe to print.

Needs Python alone: exported classifiers carry a copy of this file.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Control characters but tab and newline, marks that turn the direction of a line, and halves of
# surrogate pairs, which stand for bytes of a file name that are not UTF-8
_UNSAFE = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_FORMULA = ('=', '+', '-', '@', '\t', '\r')


def plain(text: object) -> str:
    """The text with what a terminal would obey, or could not print, written as ``\\x1b`` is."""
    return _UNSAFE.sub(_escaped, str(text))


def _escaped(match: re.Match) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f'\\x{code - 0xDC00:02x}'
    return f'\\x{code:02x}' if code < 256 else f'\\u{code:04x}'


def plain_json(content: Any, indent: int | None = None) -> str:
    """JSON in which such characters are escaped; it is read as the same content."""
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    return _UNSAFE.sub(lambda match: f'\\u{ord(match[0]):04x}', text)


def no_formula(cell: object) -> object:
    """A cell of a CSV file that a spreadsheet takes as text: ``=1+1`` becomes ``'=1+1``."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


@contextmanager
def may_close() -> Iterator[None]:
    """End the process quietly where stdout is a pipe whose reader has left, as ``| head`` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        try:
            os.write(sys.stdout.fileno(), b'\n')  # unless it is another pipe
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        raise
