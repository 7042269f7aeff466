"""Data sets: which images there are, how they are split, and what their classes are called."""

from .. import compat  # noqa: F401  first, since it lets torchvision be imported

# isort: split
from .bar import BAR
from .base import SplitDataset
from .demo import DemoActions
from .era import ERA
from .files import unreadable_images
from .loading import LoadPicture
from .own import OwnImages, find_classes
from .ucf101 import UCF101

__all__ = [
    'BAR',
    'ERA',
    'UCF101',
    'DemoActions',
    'LoadPicture',
    'OwnImages',
    'SplitDataset',
    'find_classes',
    'unreadable_images',
]
