from .class_mean_reg import ClassMeanRegHead
from .gda import GDAHead
from .logreg import LogisticRegressionHead
from .tip_adapter import TipAdapterHead
from .zero_shot import ZeroShotHead

__all__ = [
    'ClassMeanRegHead',
    'GDAHead',
    'LogisticRegressionHead',
    'TipAdapterHead',
    'ZeroShotHead',
]
