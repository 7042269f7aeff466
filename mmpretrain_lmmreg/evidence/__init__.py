from .checks import RunChecksHook
from .hook import ResultsHook

__all__ = ['ResultsHook', 'RunChecksHook']
