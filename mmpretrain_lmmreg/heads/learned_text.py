"""What methods have in common that learn class embeddings from texts, and their hook."""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch import Tensor
from torch.utils.data import DataLoader

from ..errors import InputError
from ..text.tower import TextTower
from .fitting import check_checkpoint


class LearnedTextHead(ClsHead):
    """Logits s * cos(x, t_c), where the class embeddings t are a function of what trains.

    In training t is computed at each step; :class:`LearnedTextHook` keeps the result of each
    epoch in the buffer ``text_weights`` (num_classes, in_channels), so that a checkpoint is
    tested without any text. A subclass has :meth:`set_up` and :meth:`class_weights`.

    Args:
        num_classes: N_c.
        in_channels: D, the width of the embeddings.
        logit_scale: s; CLIP's trained value is 100.

    Raises:
        InputError: use before training; training without the hook; a checkpoint of another shape.
    """

    ready = False  # whether set_up was run: what it hands over is not in the checkpoint
    text_at_test = False  # whether class_weights depends on the image

    def __init__(
        self, num_classes: int, in_channels: int, logit_scale: float = 100.0, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes, self.in_channels = num_classes, in_channels
        self.logit_scale = logit_scale
        self.register_buffer('text_weights', torch.zeros(num_classes, in_channels))

    def set_up(self, model: ImageClassifier, images: DataLoader, resumed: bool) -> None:
        """Take over texts, and training images if need be, before training."""
        raise NotImplementedError

    def class_weights(self) -> Tensor:
        """t, (N_c, D), with gradients."""
        raise NotImplementedError

    @torch.no_grad()
    def keep_class_weights(self) -> None:
        """Put t as it is in eval mode into ``text_weights``."""
        training = self.training
        self.text_weights.copy_(self.eval().class_weights())
        self.train(training)

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Logits (B, N_c) of embeddings (B, D)."""
        self.check_ready()
        weights = self.class_weights() if self.training else self.text_weights
        return self.logits(self.pre_logits(feats), weights)

    def logits(self, x: Tensor, weights: Tensor) -> Tensor:
        """Logits (B, N_c) of embeddings (B, D) and class embeddings (N_c, D)."""
        return self.logit_scale * F.normalize(x, dim=1) @ F.normalize(weights, dim=1).T

    def check_ready(self) -> None:
        """Raise InputError where the texts are not there, or nothing was trained."""
        name = type(self).__name__
        if not self.ready and (self.training or self.text_at_test):
            raise InputError(
                f'{name} has no texts: keep LearnedTextHook in default_hooks, and use '
                'tools/train.py and tools/test.py'
            )
        if not self.text_weights.any():
            raise InputError(f'{name} is not trained: train it, or test a checkpoint')

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        check_checkpoint(self, state_dict, prefix, 'text_weights')
        super()._load_from_state_dict(state_dict, prefix, *args)


def tower_of(model: ImageClassifier) -> TextTower:
    """The text tower that belongs to a model's image tower, on its device.

    Raises:
        InputError: one of another D than the head's.
    """
    device = next(model.parameters()).device
    tower = TextTower(model.backbone.model_name, model.backbone.pretrained, device)
    if tower.dim != model.head.in_channels:
        raise InputError(
            f'the text tower gives D={tower.dim}, the head says '
            f'in_channels={model.head.in_channels}'
        )
    return tower


@HOOKS.register_module()
class LearnedTextHook(Hook):
    """Hands texts to a :class:`LearnedTextHead`, and keeps its class embeddings of each epoch."""

    def before_train(self, runner: Runner) -> None:
        self.set_up(runner, runner.train_loop.dataloader, resumed=runner.iter > 0)
        get_ori_model(runner.model).head.keep_class_weights()

    def after_train_epoch(self, runner: Runner) -> None:
        get_ori_model(runner.model).head.keep_class_weights()

    def before_val(self, runner: Runner) -> None:
        self.before_evaluation(runner, runner.val_loop.dataloader)

    def before_test(self, runner: Runner) -> None:
        self.before_evaluation(runner, runner.test_loop.dataloader)

    def before_evaluation(self, runner: Runner, images: Any) -> None:
        """Hand texts to a head that classifies with them."""
        head = getattr(get_ori_model(runner.model), 'head', None)
        if getattr(head, 'text_at_test', False) and not head.ready:
            self.set_up(runner, images, resumed=True)

    def set_up(self, runner: Runner, images: Any, resumed: bool) -> None:
        """Let the head take over what it needs, after a check of the classes."""
        model = get_ori_model(runner.model)
        head = model.head
        if not isinstance(head, LearnedTextHead):
            raise InputError(
                f'LearnedTextHook has nothing to hand to {type(head).__name__}; '
                'take it out of default_hooks'
            )
        classes = images.dataset.metainfo.get('classes') or ()
        if len(classes) != head.num_classes:
            raise InputError(
                f'the data have {len(classes)} classes, the head says '
                f'num_classes={head.num_classes}'
            )
        head.set_up(model, images, resumed)
        head.ready = True
