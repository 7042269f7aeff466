"""What runs beside training: head set-up, the run record, leakage checks, checkpoints."""

from .checkpoint import WholeCheckpointHook
from .class_weights import ClassWeightHook, class_weights
from .head_set_up import ClassMeanHook
from .results import ResultsHook
from .run_checks import RunChecksHook

__all__ = [
    'ClassMeanHook',
    'ClassWeightHook',
    'ResultsHook',
    'RunChecksHook',
    'WholeCheckpointHook',
    'class_weights',
]
