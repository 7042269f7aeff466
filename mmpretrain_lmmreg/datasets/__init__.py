"""Data sets: which images there are, how they are split, and what their classes are called.

Importing this package is light, since configs call ``find_classes`` while they are read.
"""

from importlib import import_module
from typing import Any

_LIGHT = {'find_classes': 'labels', 'unreadable_images': 'files'}
_PUBLIC = {
    'BAR': 'bar',
    'ERA': 'era',
    'UCF101': 'ucf101',
    'DemoActions': 'demo',
    'LoadPicture': 'loading',
    'OwnImages': 'own',
    'SplitDataset': 'base',
    **_LIGHT,
}
__all__ = list(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    if name not in _LIGHT:
        from .. import compat  # noqa: F401  first, since it lets torchvision be imported
    return getattr(import_module(f'.{_PUBLIC[name]}', __name__), name)
