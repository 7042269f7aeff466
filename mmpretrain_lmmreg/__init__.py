"""LMM-regularised CLIP embeddings for image classification, as an mmpretrain plugin.

Importing the package registers every component in mmpretrain's registries.
"""

from . import compat  # noqa: F401  must come before anything imports torchvision

# isort: split
from . import clip, datasets, demo, features, heads, hooks  # noqa: F401  they register
from .version import __version__

__all__ = ['__version__']
