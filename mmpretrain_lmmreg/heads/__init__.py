# ruff: noqa: F401
from .. import compat  # first, since it lets torchvision be imported

# isort: split
from .caps_adapter import CapSAdapterHead
from .cascade_vlm import CascadeVLMHead
from .clap import CLAPHead
from .class_mean_reg import ClassMeanRegHead
from .classify_by_description import ClassifyByDescriptionHead
from .clip_a_self import CLIPASelfHead
from .cocoop import CoCoOpHead
from .coop import CoOpHead
from .cross_modal import CrossModalHead
from .describe_on_demand import DescribeOnDemandHead
from .gda import GDAHead
from .image_text import ImageTextHead
from .l2_sp import L2SPClassifier
from .labo import LaBoHead
from .logreg import LogisticRegressionHead
from .lp_plus_plus import LPPlusPlusHead
from .m2_mix import M2MixHead
from .mean_start import MeanStartHead
from .nola import NoLAHead
from .perception_clip import PerceptionCLIPHead
from .rafa import RaFAHead
from .tip_adapter import TipAdapterHead
from .wise_ft import WiSEFTHead
from .zero_shot import ZeroShotHead
from .zs_lp import ZSLPHead

__all__ = [name for name in list(globals()) if name.endswith(('Head', 'Classifier'))]
