"""What heads that are fitted at once have in common."""

import torch
from mmpretrain.models.heads import ClsHead
from torch import Tensor

from ..errors import InputError


def class_counts(labels: Tensor, num_classes: int) -> Tensor:
    """Images of each class, (N_c,).

    Raises:
        InputError: a class without images.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    if (counts == 0).any():
        empty = (counts == 0).nonzero().flatten().tolist()
        raise InputError(f'the classes {empty} have no training images, so they cannot be fitted')
    return counts


def check_checkpoint(head: ClsHead, state_dict: dict, prefix: str, name: str) -> None:
    """Refuse a checkpoint whose weights (N_c, D) are of another shape, which mmengine only logs."""
    found = state_dict.get(prefix + name)
    if found is not None and found.shape != (head.num_classes, head.in_channels):
        raise InputError(
            f"the checkpoint's {prefix}{name} is of {found.shape[0]} classes and "
            f'D={found.shape[1]}, the config says num_classes={head.num_classes} and '
            f'in_channels={head.in_channels}; test it with the config it was trained with'
        )
