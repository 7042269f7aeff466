"""What the heads here have in common."""

from collections.abc import Callable

import torch
from mmengine.dist import get_world_size
from mmpretrain.structures import DataSample
from torch import Tensor

from ..errors import InputError
from .inputs import HeadInputs


class SetUpHead:
    """Mixin of heads that take something over before training, and refuse other checkpoints.

    mmengine only logs that a checkpoint's weights have another shape.
    """

    num_classes: int
    in_channels: int
    state_dict: Callable[[], dict[str, Tensor]]
    inputs_at_test = False  # whether set_up is needed for testing, too

    @classmethod
    def described_splits(cls, head: dict, means: dict) -> tuple[str, ...]:
        """The splits of which a run needs descriptions, by the settings of head and hook."""
        return ()

    def set_up(self, inputs: HeadInputs) -> None:
        """Take over what the head is made of; called by :class:`ClassMeanHook`."""
        raise NotImplementedError

    def describe_start(self, inputs: HeadInputs) -> None:
        """Say what is worth knowing before the first step; the images' features are there now."""

    def _get_predictions(self, cls_score: Tensor, data_samples: list | None) -> list[DataSample]:
        samples = super()._get_predictions(cls_score, data_samples)  # type: ignore[misc]
        if get_world_size() > 1:  # each is sent, and a row would be pickled with its whole batch
            for sample in samples:
                sample.set_pred_score(sample.pred_score.clone())
        return samples

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for name, expected in self.state_dict().items():
            found = state_dict.get(prefix + name)
            if found is not None and found.shape != expected.shape:
                raise InputError(
                    f"the checkpoint's {prefix}{name} has the shape {tuple(found.shape)}, the "
                    f"config's has {tuple(expected.shape)} (num_classes={self.num_classes}, "
                    f'in_channels={self.in_channels}): use it with the config it was trained with'
                )
        super()._load_from_state_dict(state_dict, prefix, *args)  # type: ignore[misc]


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
