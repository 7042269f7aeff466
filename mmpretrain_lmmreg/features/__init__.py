from .extract import extract_features
from .loops import FrozenTrunkTestLoop, FrozenTrunkTrainLoop, FrozenTrunkValLoop

__all__ = ['FrozenTrunkTestLoop', 'FrozenTrunkTrainLoop', 'FrozenTrunkValLoop', 'extract_features']
