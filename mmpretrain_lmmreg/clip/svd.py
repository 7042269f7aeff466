"""A matrix of which only the singular values train."""

import torch
from torch import Tensor, nn


class TrainedSingularValues(nn.Module):
    """U diag(s) V', the decomposition of a matrix (M, N); s trains, U and V' are buffers.

    After Koleilat, Rivaz and Xiao, "Singular Value Few-shot Adaptation of Vision-Language Models"
    (CLIP-SVD), 2025, who train the singular values of all matrices of both towers.
    """

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        rank = min(matrix.shape)
        self.singular_values = nn.Parameter(matrix.new_zeros(rank))
        self.register_buffer('left', matrix.new_zeros(len(matrix), rank))
        self.register_buffer('right', matrix.new_zeros(rank, matrix.shape[1]))
        self.decompose(matrix)

    left: Tensor
    right: Tensor

    @torch.no_grad()
    def decompose(self, matrix: Tensor) -> None:
        """Take over another matrix of the same shape."""
        if matrix.is_meta:
            return
        parts = torch.linalg.svd(matrix.double(), full_matrices=False)
        for own, part in zip((self.left, self.singular_values, self.right), parts, strict=True):
            own.copy_(part)

    def matrix(self) -> Tensor:
        """The matrix as it is now, (M, N)."""
        return (self.left * self.singular_values) @ self.right
