"""CLIP: open_clip's towers, weights and tokenizers, and the image tower as a backbone."""

from .. import compat  # noqa: F401  first, since it lets torchvision be imported

# isort: split
from .backbone import OpenCLIPVisual
from .text_tower import TextTower

__all__ = ['OpenCLIPVisual', 'TextTower']
