"""What runs beside training: head set-up, the run record, leakage checks, checkpoints."""

from .. import compat  # noqa: F401  first, since it lets torchvision be imported

# isort: split
from .checkpoint import AtomicCheckpointHook, WholeCheckpointHook
from .class_weights import ClassWeightHook, class_weights
from .head_set_up import ClassMeanHook
from .results import ResultsHook
from .run_checks import RunChecksHook

__all__ = [
    'AtomicCheckpointHook',
    'ClassMeanHook',
    'ClassWeightHook',
    'ResultsHook',
    'RunChecksHook',
    'WholeCheckpointHook',
    'class_weights',
]
