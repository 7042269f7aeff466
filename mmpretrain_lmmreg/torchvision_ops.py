"""Let torchvision import beside a torch that its compiled operators do not fit.

Needs Python alone until torchvision is imported: exported classifiers carry a copy of this file.
"""

import sys
from importlib.abc import MetaPathFinder
from typing import Any

_libraries: list[Any] = []  # a torch.library.Library takes its operators along when it is collected


class _MissingOperators(MetaPathFinder):
    """Declares the operators just before torchvision asks for them; finds no module itself."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname != 'torchvision._meta_registrations':
            return
        import torch

        for name in ('nms', 'qnms'):
            if not hasattr(torch.ops.torchvision, name):
                library = torch.library.Library('torchvision', 'FRAGMENT')
                library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
                _libraries.append(library)


def define_missing_torchvision_ops() -> None:
    """From now on, declare the detection operators that torchvision lacks when it is imported.

    A CPU build of torch beside PyPI's (CUDA) torchvision lacks them; transforms and models then
    work, the detection operators stay without an implementation.
    """
    if not any(isinstance(finder, _MissingOperators) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MissingOperators())
