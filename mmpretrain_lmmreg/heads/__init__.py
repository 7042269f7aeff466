from .class_mean_reg import ClassMeanRegHead
from .gda import GDAHead
from .image_text import ImageTextHead, ImageTextHook
from .l2_sp import L2SPClassifier
from .logreg import LogisticRegressionHead
from .tip_adapter import TipAdapterHead
from .wise_ft import WiSEFTHead
from .zero_shot import ZeroShotHead

__all__ = [
    'ClassMeanRegHead',
    'GDAHead',
    'ImageTextHead',
    'ImageTextHook',
    'L2SPClassifier',
    'LogisticRegressionHead',
    'TipAdapterHead',
    'WiSEFTHead',
    'ZeroShotHead',
]
