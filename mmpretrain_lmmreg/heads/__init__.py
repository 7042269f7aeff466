from .class_mean_reg import ClassMeanRegHead
from .clip_a_self import CLIPASelfHead
from .cocoop import CoCoOpHead
from .coop import CoOpHead
from .gda import GDAHead
from .image_text import ImageTextHead, ImageTextHook
from .l2_sp import L2SPClassifier
from .labo import LaBoHead
from .learned_text import LearnedTextHook
from .logreg import LogisticRegressionHead
from .tip_adapter import TipAdapterHead
from .wise_ft import WiSEFTHead
from .zero_shot import ZeroShotHead

__all__ = [
    'CLIPASelfHead',
    'ClassMeanRegHead',
    'CoCoOpHead',
    'CoOpHead',
    'GDAHead',
    'ImageTextHead',
    'ImageTextHook',
    'L2SPClassifier',
    'LaBoHead',
    'LearnedTextHook',
    'LogisticRegressionHead',
    'TipAdapterHead',
    'WiSEFTHead',
    'ZeroShotHead',
]
