from .hook import ClassMeanHook
from .tower import TextTower

__all__ = ['ClassMeanHook', 'TextTower']
