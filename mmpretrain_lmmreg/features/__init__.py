from .. import compat  # noqa: F401  first, since it lets torchvision be imported

# isort: split
from .extract import class_means, extract_features
from .loops import FrozenTrunkTestLoop, FrozenTrunkTrainLoop, FrozenTrunkValLoop

__all__ = [
    'FrozenTrunkTestLoop',
    'FrozenTrunkTrainLoop',
    'FrozenTrunkValLoop',
    'class_means',
    'extract_features',
]
