"""The standard epoch loops, fed with the frozen trunk's features instead of images."""

import math
from typing import Any

from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner, TestLoop, ValLoop
from mmpretrain.engine.hooks import VisualizationHook
from mmpretrain.registry import LOOPS
from mmpretrain.utils import get_ori_model

from ..errors import InputError, UnreadableError
from .dataset import FeatureDataset, feature_dataloader, features_as_inputs

FEW = 500  # steps, below which fine-tuning is seldom done
HISTORY = 1000  # values of a scalar that are kept at least


@LOOPS.register_module()
class FrozenTrunkTrainLoop(EpochBasedTrainLoop):
    """``EpochBasedTrainLoop`` on trunk features, with the same batches and the same weights.

    An epoch has no steps where nothing has a gradient, as in a head fitted before training.

    Args:
        runner, dataloader, max_epochs: See mmengine's ``EpochBasedTrainLoop``, also for others.
        min_iters: Train for more epochs where ``max_epochs`` are fewer steps, as with few shots.
            The interval of checkpoints grows with them: there are as many.
        views: Views of each image that random transforms draw and the feature table keeps, an
            epoch's in turn. What is made of images before training is made of the first view.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        max_epochs: int,
        min_iters: int = 0,
        views: int = 1,
        **kwargs,
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        if not isinstance(views, int) or views < 1:
            raise InputError(
                f'train_cfg.views={views} must be a whole number from 1', code='features.bad_views'
            )
        self.views = views
        self.trains = any(parameter.requires_grad for parameter in runner.model.parameters())
        if not self.trains:
            return
        steps = len(self.dataloader)
        self._max_epochs = max(self.max_epochs, math.ceil(min_iters / max(steps, 1)))
        # a checkpoint of ViT-L/14 takes longer than ten epochs of few shots
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and hook.by_epoch and hook.interval > 0:
                hook.interval = hook.interval * self._max_epochs // max(max_epochs, 1)
        self._max_iters = self._max_epochs * steps

    def run_epoch(self) -> None:
        """One epoch of training on features."""
        use_all_features(self)
        if self.trains and self._epoch == 0 and self._max_iters < FEW:
            print_log(
                f'{self._max_iters} training steps are few: where the loss still falls at the end, '
                'set train_cfg.min_iters=600',
                'current',
            )
        self.dataloader.dataset.view = self._epoch % self.views
        if self.trains:
            with features_as_inputs(self.runner.model):
                super().run_epoch()
            _shorten_histories(self)
        else:
            self.runner.call_hook('before_train_epoch')
            self.runner.call_hook('after_train_epoch')
            self._epoch += 1


class _FrozenTrunkEvalMixin:
    """Evaluates on trunk features, or on images where something asks for them."""

    runner: Runner

    def run(self) -> dict:
        reason = _needs_images(self.runner)
        if reason:
            print_log(f'{type(self).__name__} runs the trunk on images: {reason}', 'current')
        else:
            _use_features(self)
        with features_as_inputs(self.runner.model, features=not reason):
            return super().run()  # type: ignore[misc]  # of the loop that this is mixed into


@LOOPS.register_module()
class FrozenTrunkValLoop(_FrozenTrunkEvalMixin, ValLoop):
    """``ValLoop`` on trunk features."""


@LOOPS.register_module()
class FrozenTrunkTestLoop(_FrozenTrunkEvalMixin, TestLoop):
    """``TestLoop`` on trunk features."""


def use_all_features(loop: FrozenTrunkTrainLoop) -> None:
    """Get the features of the training and the validation images, before the first epoch.

    Raises:
        InputError: pictures of either that cannot be read, all in one message.
    """
    loops = [loop]
    if isinstance(loop.runner.val_loop, FrozenTrunkValLoop) and not _needs_images(loop.runner):
        loops.append(loop.runner.val_loop)
    problems = []
    for each in loops:
        try:
            _use_features(each)
        except UnreadableError as error:
            problems.append(str(error))
    if problems:
        raise InputError('\n'.join(problems), code='features.unreadable')


def _needs_images(runner: Runner) -> str | None:
    if not hasattr(get_ori_model(runner.model), 'backbone'):
        return 'test-time augmentation'
    for hook in runner.hooks:
        if isinstance(hook, VisualizationHook) and hook.enable:
            return 'VisualizationHook draws them'
    return None


def _use_features(loop) -> None:
    """Replace the loop's images by their features, when the model's weights are in place."""
    if isinstance(loop.dataloader.dataset, FeatureDataset):
        return
    backbone = get_ori_model(loop.runner.model).backbone
    if not getattr(backbone, 'trunk_is_frozen', False):
        raise InputError(
            f'{type(loop).__name__} needs an OpenCLIPVisual with a frozen trunk, but '
            f"trainable='{getattr(backbone, 'trainable', 'all')}'. To train on images: "
            '--cfg-options train_cfg.type=EpochBasedTrainLoop val_cfg.type=ValLoop '
            'test_cfg.type=TestLoop',
            code='features.trunk_trains',
        )
    views = getattr(loop, 'views', 1)
    loop.dataloader = feature_dataloader(loop.runner.model, loop.dataloader, views)
    for hook in loop.runner.hooks:
        if isinstance(hook, EMAHook):  # its copy of the model is older than precision='auto'
            hook.ema_model.module.backbone.use_precision(backbone.precision)


def _shorten_histories(loop: FrozenTrunkTrainLoop) -> None:
    """Let mmengine keep an epoch of each scalar: it copies the history in every iteration."""
    processor = loop.runner.log_processor
    windows = [processor.window_size, *(c.get('window_size', 0) for c in processor.custom_cfg)]
    if 'global' in windows:
        return
    keep = max(len(loop.dataloader), HISTORY, *(w for w in windows if isinstance(w, int)))
    for name, history in loop.runner.message_hub.log_scalars.items():
        if name.startswith('train/'):
            history.max_length = keep
