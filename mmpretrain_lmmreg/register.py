"""Registers every component in mmpretrain's registries, as mmpretrain's own packages do.

A config names this module::

    custom_imports = dict(imports=['mmpretrain_lmmreg.register'], allow_failed_imports=False)

Importing it adds to registries, and changes nothing else of other libraries but for two repairs:
:mod:`.torchvision_ops`, and with the original mm* packages torch's list of allowed classes. There
torch >= 2.6 refuses the log values beside the weights, so that mmpretrain's Inferencer cannot load
a checkpoint. The classes allowed hold numbers and run nothing.
"""

from . import compat

# isort: split
from . import clip, demo, descriptions, features, heads, hooks, runner  # noqa: F401
from .datasets import bar, era, loading, own, ucf101  # noqa: F401
from .datasets import demo as demo_dataset  # noqa: F401
from .fitting import average  # noqa: F401

if compat.check_mm_packages() == 'openmmlab':
    from torch.serialization import add_safe_globals

    from .io.trusted import allowed_globals

    add_safe_globals(allowed_globals())


def register_all_modules(init_default_scope: bool = True) -> None:
    """Register mmpretrain's components and this package's.

    Args:
        init_default_scope: Let registries build from mmpretrain's scope by default, as mmpretrain's
            function of this name does.

    Example:
        >>> from mmpretrain_lmmreg import register_all_modules
        >>> register_all_modules()
        >>> from mmpretrain.registry import MODELS
        >>> MODELS.get('ClassMeanRegHead').__name__
        'ClassMeanRegHead'
    """
    from mmpretrain.utils import register_all_modules as register_mmpretrain

    register_mmpretrain(init_default_scope)
