"""Let torchvision import beside a torch that its compiled operators do not fit.

Needs torch alone: exported classifiers carry a copy of this file.
"""

import sys
from typing import Any

import torch

_libraries: list[Any] = []  # a torch.library.Library takes its operators along when it is collected


def define_missing_torchvision_ops() -> None:
    """Declare the detection operators that torchvision asks for when it is imported.

    A CPU build of torch beside PyPI's (CUDA) torchvision lacks them; transforms and models then
    work, the detection operators stay without an implementation.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if 'torchvision::' not in str(error):
            raise
        library = torch.library.Library('torchvision', 'FRAGMENT')
        for name in ('nms', 'qnms'):
            library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        _libraries.append(library)
        for name in [m for m in sys.modules if m.partition('.')[0] == 'torchvision']:
            del sys.modules[name]
        import torchvision  # noqa: F401
