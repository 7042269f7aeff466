"""Data sets: which images there are, how they are split, and what their classes are called."""

from .bar import BAR
from .base import SplitDataset
from .era import ERA
from .ucf101 import UCF101

__all__ = ['BAR', 'ERA', 'UCF101', 'SplitDataset']
