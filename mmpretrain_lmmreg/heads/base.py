"""What a head may do beside classifying: the protocol between heads, hooks and commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmpretrain.structures import DataSample
from torch import Tensor

from ..errors import InputError

if TYPE_CHECKING:
    from .inputs import HeadInputs


class SetUpHead:
    """Base of the heads here; each method has a default, and a head overrides what it needs.

    A head stands before mmpretrain's: ``class MyHead(SetUpHead, LinearClsHead)``. It meets the
    rest of the package in this order:

    1. :meth:`described_splits`, before anything is built: which images need descriptions.
    2. :meth:`set_up`, by :class:`ClassMeanHook` before training: take over texts and embeddings.
    3. :meth:`describe_start`, before the first step: say what is worth knowing.
    4. :meth:`after_epoch`, after each training epoch: keep what testing needs.
    5. :meth:`exported_cache`, when a classifier is exported.

    A checkpoint with tensors of other shapes is refused, where mmengine would only log it.

    Attributes:
        described: Whether descriptions of training images are read, unless ``sentences`` names a
            file. False by default.
        inputs_at_test: Whether :meth:`set_up` is called for testing, too, since the text of each
            image or a text tower is needed. False by default.
        reads_labels: Whether labels of training images are used. True by default.
        any_length: Names of tensors with as many rows as the run had training images, which a
            checkpoint decides. None by default.
        start: Figures of what training started from, by name, for the record of the run.

    Example:
        >>> from mmpretrain.models.heads import LinearClsHead
        >>> class ConstantHead(SetUpHead, LinearClsHead):
        ...     def set_up(self, inputs):
        ...         if not inputs.trained:
        ...             self.fc.weight.data.copy_(inputs.text_means(*inputs.name_texts(), True))
    """

    num_classes: int
    in_channels: int
    state_dict: Callable[[], dict[str, Tensor]]
    described = False
    inputs_at_test = False
    reads_labels = True
    any_length: tuple[str, ...] = ()
    start: dict[str, float] = {}

    @classmethod
    def described_splits(cls, head: dict, means: dict) -> tuple[str, ...]:
        """The splits of which a run needs descriptions.

        Args:
            head: Settings of ``model.head``.
            means: Settings of ``default_hooks.class_means``.
        """
        return ('train',) if cls.described and not head.get('sentences') else ()

    def set_up(self, inputs: HeadInputs) -> None:
        """Take over what the head is made of; nothing by default."""

    def describe_start(self, inputs: HeadInputs) -> None:
        """Say what is worth knowing before the first step; nothing by default."""

    def after_epoch(self, averaged: Sequence[Any]) -> None:
        """Keep what testing needs of an epoch's parameters; nothing by default.

        Args:
            averaged: The same head of each averaged model that an EMAHook keeps.
        """

    def exported_cache(self) -> dict[str, Tensor]:
        """What the logits have beside a linear part, as tensors; none by default.

        Returns:
            ``keys``, ``key_values`` and ``key_sharpness``, or ``unit0_projection`` and others, as
            :func:`mmpretrain_lmmreg.deploy.standalone.head_logits` takes them; or nothing.
        """
        return {}

    def _get_predictions(self, cls_score: Tensor, data_samples: list | None) -> list[DataSample]:
        samples = super()._get_predictions(cls_score, data_samples)  # type: ignore[misc]
        if get_world_size() > 1:  # each is sent, and a row would be pickled with its whole batch
            for sample in samples:
                sample.set_pred_score(sample.pred_score.clone())
        return samples

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for name in self.any_length:
            if prefix + name in state_dict:
                own = getattr(self, name)
                own.data = own.new_empty(len(state_dict[prefix + name]), *own.shape[1:])
        for name, expected in self.state_dict().items():
            found = state_dict.get(prefix + name)
            if found is not None and found.shape != expected.shape:
                raise InputError(
                    f"the checkpoint's {prefix}{name} has the shape {tuple(found.shape)}, the "
                    f"config's has {tuple(expected.shape)} (num_classes={self.num_classes}, "
                    f'in_channels={self.in_channels}): use it with the config it was trained with',
                    code='heads.other_shape',
                )
        super()._load_from_state_dict(state_dict, prefix, *args)  # type: ignore[misc]


def generator_of_step(step: int) -> torch.Generator:
    """A generator on the CPU that depends on the run's seed, the process and this step alone."""
    return torch.Generator().manual_seed(_seed_of_step(step))


@contextmanager
def draws_of_step(step: int, device: torch.device) -> Iterator[None]:
    """Inside, what draws without a generator, as dropout does, draws as such a generator would."""
    with torch.random.fork_rng(devices=[device] if device.type == 'cuda' else []):
        torch.manual_seed(_seed_of_step(step))
        yield


def _seed_of_step(step: int) -> int:
    return (torch.initial_seed() + 1_000_003 * step + 7_919 * get_rank()) % 2**63


def not_set_up(head: SetUpHead) -> InputError:
    """The error of a head that is used before it was set up or trained."""
    return InputError(
        f'{type(head).__name__} is not fitted: keep the ClassMeanHook in '
        'default_hooks.class_means and train, or test a checkpoint (with tools/train.py and '
        'tools/test.py)',
        code='heads.not_set_up',
    )
