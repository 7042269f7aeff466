"""Class weights for unbalanced training images."""

from collections import Counter
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from ..errors import InputError


def class_weights(labels: Sequence[int], num_classes: int) -> list[float]:
    """Weights N / (num_classes * N_c), to be the ``class_weight`` of CrossEntropyLoss.

    Their mean over the N samples is 1. A class without a sample raises InputError.
    """
    counts = Counter(int(label) for label in labels)
    empty = [c for c in range(num_classes) if not counts[c]]
    if empty:
        raise InputError(f'no class weights: classes without a training image: {empty}')
    return [len(labels) / (num_classes * counts[c]) for c in range(num_classes)]


@HOOKS.register_module()
class ClassWeightHook(Hook):
    """Before training: weigh each class in the head's loss by the inverse of its frequency.

    For unbalanced data; the head's loss must be mmpretrain's ``CrossEntropyLoss`` or another
    that has ``class_weight``.
    """

    def before_train(self, runner: Runner) -> None:
        """Raises InputError where the loss knows no class weights or a class has no image."""
        head = get_ori_model(runner.model).head
        loss = head.loss_module
        if not hasattr(loss, 'class_weight'):
            raise InputError(
                f'{type(loss).__name__} takes no class_weight: use CrossEntropyLoss in '
                f'model.head.loss, or remove the ClassWeightHook'
            )
        labels = runner.train_loop.dataloader.dataset.get_gt_labels()
        loss.class_weight = class_weights(labels, head.num_classes)
        weights = ', '.join(f'{weight:.3g}' for weight in loss.class_weight)
        print_log(f'class weights: {weights}', logger='current')
