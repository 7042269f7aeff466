"""Class weights for unbalanced training images."""

from collections.abc import Sequence

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from ..errors import InputError
from ..features.dataset import source_of
from ..text.class_means import class_counts
from .head_set_up import head_of


def class_weights(labels: Sequence[int], num_classes: int) -> list[float]:
    """Weights N / (N_c * count of the class), to be the ``class_weight`` of CrossEntropyLoss.

    Their mean over the N samples is 1.

    Args:
        labels: Of the N samples that an epoch takes.
        num_classes: N_c.

    Raises:
        InputError: a class without a sample.

    Example:
        >>> class_weights([0, 0, 0, 1], 2)
        [0.6666666666666666, 2.0]
    """
    counts = class_counts(torch.tensor(labels), num_classes)
    return [len(labels) / (num_classes * count) for count in counts.tolist()]


@HOOKS.register_module()
class ClassWeightHook(Hook):
    """Before training: weigh each class in the head's loss by the inverse of its frequency.

    For unbalanced data. Images count as often as an epoch takes them, also where data sets are
    repeated, balanced or concatenated. The head's loss must be mmpretrain's ``CrossEntropyLoss`` or
    another that has ``class_weight``.

    Example:
        >>> custom_hooks = [dict(type='ClassWeightHook')]  # in a config
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Weigh the loss.

        Raises:
            InputError: A loss without class weights; a head that no loss trains, or that must not
                know labels; a class without images.
        """
        model, head = get_ori_model(runner.model), head_of(runner)
        loss = model.head.loss_module
        trains = any(parameter.requires_grad for parameter in model.parameters())
        reads_labels = head is None or head.reads_labels
        if 'class_weight' not in vars(loss) or not trains or not reads_labels:
            raise InputError(
                f'{type(model.head).__name__} with {type(loss).__name__} takes no class weights: '
                'train a head by CrossEntropyLoss and labels, or remove the ClassWeightHook',
                code='hooks.no_class_weight',
            )
        dataset = source_of(runner.train_loop.dataloader)
        labels = [int(dataset.get_data_info(i)['gt_label']) for i in range(len(dataset))]
        loss.class_weight = class_weights(labels, model.head.num_classes)
        weights = ', '.join(f'{weight:.3g}' for weight in loss.class_weight)
        print_log(f'class weights: {weights}', logger='current')
