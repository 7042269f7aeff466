"""Matrices of which only the singular values train."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class TrainedSingularValues(nn.Module):
    """U diag(s) V', the decomposition of matrices (..., M, N); s trains, U and V' are buffers.

    After Koleilat, Rivaz and Xiao, "Singular Value Few-shot Adaptation of Vision-Language Models"
    (CLIP-SVD), 2025, who train the singular values of all matrices of both towers.
    """

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        *stack, rows, columns = matrix.shape
        rank = min(rows, columns)
        self.singular_values = nn.Parameter(matrix.new_zeros(*stack, rank))
        self.register_buffer('left', matrix.new_zeros(*stack, rows, rank))
        self.register_buffer('right', matrix.new_zeros(*stack, rank, columns))

    left: Tensor
    right: Tensor

    @torch.no_grad()
    def decompose(self, matrix: Tensor) -> None:
        """Take over matrices of the same shape."""
        if matrix.is_meta:
            return
        parts = torch.linalg.svd(matrix.double(), full_matrices=False)
        for own, part in zip((self.left, self.singular_values, self.right), parts, strict=True):
            own.copy_(part)

    def matrix(self) -> Tensor:
        """The matrices as they are now, (..., M, N)."""
        return (self.left * self.singular_values[..., None, :]) @ self.right


class TrainedMatrices(nn.ModuleDict):
    """Some weight matrices of a module that stays frozen itself, each by its singular values.

    A matrix that holds those of query, key and value above each other counts as three. In the
    names of the parts is '/' for '.'.

    Args:
        module: It holds the matrices as they were.
        names: Their names in it.
    """

    def __init__(self, module: nn.Module, names: Iterable[str]) -> None:
        parts = {name: _apart(name, module.get_parameter(name).detach()) for name in names}
        super().__init__({n.replace('.', '/'): TrainedSingularValues(m) for n, m in parts.items()})
        self.decompose(module)

    def decompose(self, module: nn.Module) -> None:
        """Start from the module's matrices."""
        part: Any
        for name, part in self.items():
            name = name.replace('/', '.')
            part.decompose(_apart(name, module.get_parameter(name).detach()))

    def matrices(self) -> dict[str, Tensor]:
        """The matrices as they are now, by their names in the module."""
        parts: Any = self.items()
        found = {name.replace('/', '.'): part.matrix() for name, part in parts}
        return {name: m.reshape(-1, m.shape[-1]) for name, m in found.items()}

    def call(self, module: nn.Module, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """``function(x)``, which uses ``module``, with the matrices as they are now in it."""
        current = {f'module.{name}': matrix for name, matrix in self.matrices().items()}
        return functional_call(_Using(module, function), current, (x,), tie_weights=False)


class _Using(nn.Module):
    def __init__(self, module: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def matrix_names(module: nn.Module) -> list[str]:
    """Names of the weights of all linear layers, those within attention included."""
    return [
        f'{path}.{name}'
        for path, layer in module.named_modules()
        for name, parameter in layer.named_parameters(recurse=False)
        if (isinstance(layer, nn.Linear) and name == 'weight') or name == 'in_proj_weight'
        if parameter.ndim == 2
    ]


def _apart(name: str, weight: Tensor) -> Tensor:
    joined = name.endswith(('in_proj_weight', 'qkv.weight'))
    return weight.unflatten(0, (3, -1)) if joined else weight
