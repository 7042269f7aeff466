"""LMM-regularised CLIP embeddings for image classification, as an mmpretrain plugin.

Importing the package imports neither torch nor mmpretrain. Configs register its components by
``custom_imports=dict(imports=['mmpretrain_lmmreg.register'])``, programs by
:func:`register_all_modules`.

Example:
    >>> import mmpretrain_lmmreg
    >>> mmpretrain_lmmreg.parse_reply('1. A red kite over a beach.').descriptions
    ['A red kite over a beach.']
"""

from importlib import import_module
from typing import Any

from .torchvision_ops import define_missing_torchvision_ops
from .version import __version__

define_missing_torchvision_ops()  # open_clip and mmpretrain could not be imported without

# where each public name is found: the module below this package, and what it calls it
_PUBLIC = {
    'Classifier': '.deploy.api:Classifier',
    'DescribePlan': '.describe.plan:DescribePlan',
    'class_means': '.features:class_means',
    'compare': '.evidence.comparison:compare',
    'extract_features': '.features:extract_features',
    'fit': '.fitting.fit:fit',
    'load': '.deploy.api:load',
    'parse_reply': '.descriptions:parse_reply',
    'register_all_modules': '.register:register_all_modules',
}
__all__ = ['__version__', *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module, _, attribute = _PUBLIC[name].partition(':')
    return getattr(import_module(module, __name__), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
