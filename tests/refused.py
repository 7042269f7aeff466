"""How tests ask for an error by its code."""

from collections.abc import Callable

import pytest

from mmpretrain_lmmreg.errors import CODES, InputError


def refused(code: str, kind: type[InputError] = InputError, match: str | None = None):
    """``pytest.raises`` of an InputError with a code; ``match`` only where the words matter."""
    assert code in CODES, f'{code} is not in errors.CODES'
    return pytest.raises(kind, match=match, check=_has(code))


def _has(code: str) -> Callable[[InputError], bool]:
    return lambda error: error.code == code
