"""The loop of methods that are fitted to all training images at once."""

from typing import Any

import torch
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import LOOPS
from mmpretrain.utils import get_ori_model
from torch import Tensor

from ..errors import InputError
from ..text.hook import embed_class_means
from ..text.tower import TextTower
from .dataset import FeatureDataset
from .loops import FrozenTrunkTrainLoop, _use_all_features


@LOOPS.register_module()
class FitLoop(FrozenTrunkTrainLoop):
    """Fits the head once to the whole training set, then trains what has a gradient, if any.

    The head has ``class_texts(dataset)``, the texts of each class or None, and ``fit(x, labels,
    text_means)``: embeddings (N, D) of all training images, labels (N,), and mean text embeddings
    (N_c, D) or None. With nothing to train, the one epoch is the fit, without a gradient step;
    hooks save and validate after it as after any epoch.

    Args:
        runner: The runner.
        dataloader: Of the training images; its sampler and batches matter to training only.
        max_epochs: 1 for methods without training.
        **kwargs: See mmengine's ``EpochBasedTrainLoop``.

    Raises:
        InputError: a head that cannot be fitted; training data of other classes or D.
    """

    def __init__(self, runner: Runner, dataloader: Any, max_epochs: int = 1, **kwargs) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)

    def run_epoch(self) -> None:
        model = get_ori_model(self.runner.model)
        trains = any(parameter.requires_grad for parameter in model.parameters())
        inputs = self._fit_inputs(model) if self._epoch == 0 else None
        if not trains:
            self.runner.call_hook('before_train_epoch')
        if inputs is not None:
            with torch.no_grad():
                model.head.fit(*inputs)
        if trains:
            super().run_epoch()
        else:
            self.runner.call_hook('after_train_epoch')
            self._epoch += 1

    def _fit_inputs(self, model: ImageClassifier) -> tuple[Tensor, Tensor, Tensor | None]:
        head = model.head
        if not hasattr(head, 'fit'):
            raise InputError(
                f'FitLoop fits the head, but {type(head).__name__} cannot be fitted; '
                "use train_cfg=dict(type='FrozenTrunkTrainLoop')"
            )
        _use_all_features(self)
        data = self.dataloader.dataset
        classes = data.metainfo.get('classes') or ()
        if len(classes) != head.num_classes:
            raise InputError(
                f'the training data have {len(classes)} classes, the head says '
                f'num_classes={head.num_classes}'
            )
        x, labels = embeddings(model, data)
        return x, labels, text_means(model, data)


@torch.no_grad()
def embeddings(model: ImageClassifier, data: FeatureDataset) -> tuple[Tensor, Tensor]:
    """Embeddings (N, D) and labels (N,) of a data set's samples, on the model's device."""
    if data.labels is None:
        raise InputError('multi-label data are not supported: FitLoop needs one label an image')
    device = next(model.parameters()).device
    parts = [model.extract_feat(part.to(device))[-1] for part in data.features.split(1024)]
    return torch.cat(parts)[data.rows.to(device)], data.labels


def text_means(model: ImageClassifier, data: FeatureDataset) -> Tensor | None:
    """Mean embedding of each class's texts by the backbone's text tower, (N_c, D), or None."""
    texts = model.head.class_texts(data.source)
    if texts is None:
        return None
    device = next(model.parameters()).device
    tower = TextTower(model.backbone.model_name, model.backbone.pretrained, device)
    classes = data.metainfo['classes']
    return embed_class_means(*texts, tower, model.head.normalize_texts, classes).to(device)
