from .loops import FrozenTrunkTestLoop, FrozenTrunkTrainLoop, FrozenTrunkValLoop

__all__ = ['FrozenTrunkTestLoop', 'FrozenTrunkTrainLoop', 'FrozenTrunkValLoop']
