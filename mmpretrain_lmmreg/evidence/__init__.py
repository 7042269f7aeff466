from .hook import ResultsHook

__all__ = ['ResultsHook']
