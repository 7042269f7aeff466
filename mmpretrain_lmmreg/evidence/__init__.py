"""Statistics, comparison and the report: what runs showed."""

from typing import Any

__all__ = ['compare']


def __getattr__(name: str) -> Any:
    """:func:`comparison.compare`, whose packages a sweep does not need."""
    if name == 'compare':
        from .comparison import compare

        return compare
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
