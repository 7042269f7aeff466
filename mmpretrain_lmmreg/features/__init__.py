from .fit_loop import FitLoop
from .loops import FrozenTrunkTestLoop, FrozenTrunkTrainLoop, FrozenTrunkValLoop

__all__ = ['FitLoop', 'FrozenTrunkTestLoop', 'FrozenTrunkTrainLoop', 'FrozenTrunkValLoop']
