from .. import compat  # noqa: F401  first, since it lets torchvision be imported

# isort: split
from .extract import extract_features
from .loops import FrozenTrunkTestLoop, FrozenTrunkTrainLoop, FrozenTrunkValLoop

__all__ = ['FrozenTrunkTestLoop', 'FrozenTrunkTrainLoop', 'FrozenTrunkValLoop', 'extract_features']
