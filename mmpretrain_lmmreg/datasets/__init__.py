"""Data sets: which images there are, how they are split, and what their classes are called."""

from .bar import BAR
from .base import SplitDataset
from .era import ERA
from .files import check_readable, unreadable_images
from .own import OwnImages, find_classes
from .splits import class_weights
from .ucf101 import UCF101

__all__ = [
    'BAR',
    'ERA',
    'UCF101',
    'OwnImages',
    'SplitDataset',
    'check_readable',
    'class_weights',
    'find_classes',
    'unreadable_images',
]
