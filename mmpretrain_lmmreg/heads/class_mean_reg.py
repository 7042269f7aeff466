"""The paper's head: a linear classifier, regularised by LMM-generated class means."""

import logging
import math

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmpretrain.models.heads import LinearClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from ..errors import InputError, require_one_of, require_range
from ..features.dataset import SampleBatch
from ..text.class_means import target_scale
from .base import SetUpHead
from .inputs import HeadInputs

REDUCTIONS = ('batch_mean', 'batch_sum', 'element_mean')
BALANCE = 10.0  # times that the regulariser may be the cross entropy, or the reverse
FC_INITS = ('pytorch', 'class_means')


def class_mean_distance(x: Tensor, targets: Tensor, reduction: str = 'batch_mean') -> Tensor:
    """Eq. 2: squared Euclidean distance of embeddings to their class means, a scalar.

    The paper writes a sum over the images. If its cross entropy is one, too, alpha weighs them as
    ``'batch_mean'`` does; else as ``'batch_sum'`` does, where alpha counts B times as much.

    Args:
        x: Embeddings, (B, D).
        targets: The class mean of each embedding, (B, D).
        reduction: ``'batch_mean'`` sums over D and averages over B; ``'batch_sum'`` sums over
            both, as eq. 2 is written; ``'element_mean'`` averages over both.
    """
    squares = (x - targets).square()
    if reduction == 'element_mean':
        return squares.mean()
    distances = squares.sum(dim=1)
    return distances.sum() if reduction == 'batch_sum' else distances.mean()


@MODELS.register_module()
class ClassMeanRegHead(SetUpHead, LinearClsHead):
    """Linear classifier with the objective of eq. 3, J = CE + alpha * J_reg.

    Logs ``loss_ce``, ``loss_reg`` (alpha * J_reg) and ``reg_ratio`` (alpha * J_reg / CE). The
    class means are a buffer (num_classes, in_channels) that :class:`ClassMeanHook` fills before
    training and that the checkpoint keeps; all zeros means unset. ``alpha=0`` is the paper's
    baseline: no means, no ``loss_reg``.

    Args:
        num_classes: N_c.
        in_channels: D, the width of the embeddings.
        alpha: Weight of the regulariser; the paper's is 1e-2.
        normalize: Scale image embeddings to unit length, for the classifier too, and text
            embeddings before they are averaged. The paper does neither.
        reduction: See :func:`class_mean_distance`.
        fc_init: ``'pytorch'``, or ``'class_means'``: the class means as initial weights.
        **kwargs: See mmpretrain's ``LinearClsHead``; weights start as PyTorch's by default.

    Raises:
        InputError: unknown options; multi-label data; alpha > 0 with unset means; a checkpoint
            of another class count or D.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        alpha: float = 1e-2,
        normalize: bool = False,
        reduction: str = 'batch_mean',
        fc_init: str = 'pytorch',
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        require_range('alpha', alpha, 0)
        require_one_of('reduction', reduction, REDUCTIONS)
        require_one_of('fc_init', fc_init, FC_INITS)
        self.alpha, self.normalize = alpha, normalize
        self.reduction, self.fc_init = reduction, fc_init
        self.register_buffer('class_means', torch.zeros(num_classes, in_channels))
        self.means_seen = False  # since looking takes time, which every step would pay for

    @classmethod
    def described_splits(cls, head: dict, means: dict) -> tuple[str, ...]:
        """``train``, where class means of descriptions are used."""
        used = head.get('alpha', 1) > 0 or head.get('fc_init') == 'class_means'
        return ('train',) if used and means.get('source', 'descriptions') == 'descriptions' else ()

    def set_up(self, inputs: HeadInputs) -> None:
        """Take over the class means, where training uses them."""
        if not inputs.trained and (self.alpha > 0 or self.fc_init == 'class_means'):
            self.set_class_means(inputs.class_means)

    def describe_start(self, inputs: HeadInputs) -> None:
        """Log how the regulariser stands to the cross entropy of an untrained classifier."""
        if self.alpha == 0 or inputs.trained or not inputs.on_features:
            return
        scale = target_scale(*inputs.image_embeddings, self.class_means)
        batch = inputs.loop.dataloader.batch_sampler.batch_size
        factor = {'batch_sum': batch, 'element_mean': 1 / self.in_channels}.get(self.reduction, 1)
        ratio = self.alpha * factor * scale.distance / math.log(self.num_classes)
        print_log(
            f'the regulariser before training: image embeddings of length {scale.image_norm:.3g}, '
            f'class means of {scale.mean_norm:.3g}; {scale.offset:.0%} of their squared distance '
            f'is one offset for all classes; alpha*J is {ratio:.2g} times the cross entropy; '
            f'alignment of class means with those of the images {scale.alignment:.2f}',
            'current',
        )
        if ratio > 0 and not 1 / BALANCE <= ratio <= BALANCE:
            remedy = f'model.head.alpha={self.alpha / ratio:.1g} balances them'
            if scale.offset > 0.5:
                remedy += ', default_hooks.class_means.match_gap=True takes the offset away'
            print_log(
                f'the regulariser is out of scale: alpha*J is {ratio:.2g} times the cross entropy; '
                + remedy,
                'current',
                level=logging.WARNING,
            )

    def set_class_means(self, means: Tensor) -> None:
        """Take over the targets C, (num_classes, in_channels), before training."""
        expected = (self.num_classes, self.in_channels)
        if tuple(means.shape) != expected:
            raise InputError(
                f'class means of shape {tuple(means.shape)} do not fit the head: num_classes='
                f'{expected[0]}, in_channels={expected[1]} (the D of both towers must agree)',
                code='heads.other_width',
            )
        if not means.isfinite().all() or not means.any():
            raise InputError(
                'class means must be finite and not all zero: the weights or texts that they are '
                'made of are damaged',
                code='heads.bad_class_means',
            )
        self.class_means.copy_(means)
        if self.fc_init == 'class_means':
            self.fc.weight.data.copy_(means)
            self.fc.bias.data.zero_()

    def pre_logits(self, feats: tuple[Tensor]) -> Tensor:
        """The embedding that is classified and regularised, (B, D)."""
        x = super().pre_logits(feats)
        return F.normalize(x, dim=1) if self.normalize else x

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample], **kwargs) -> dict:
        """Eq. 3; see mmpretrain's ``ClsHead.loss`` for the arguments."""
        x = self.pre_logits(feats)
        if isinstance(data_samples, SampleBatch):
            data_samples = [data_samples.packed]
        losses = self._get_loss(self.fc(x), data_samples, **kwargs)
        losses['loss_ce'] = losses.pop('loss')
        if self.alpha > 0:
            losses['loss_reg'] = self.alpha * self._regulariser(x, data_samples)
            losses['reg_ratio'] = losses['loss_reg'].detach() / losses['loss_ce'].detach()
        return losses

    def _regulariser(self, x: Tensor, data_samples: list[DataSample]) -> Tensor:
        x = x if x.dtype == torch.float64 else x.float()  # autocast leaves these operations alone
        return class_mean_distance(x, self._targets(data_samples, len(x)), self.reduction)

    def _targets(self, data_samples: list[DataSample], count: int) -> Tensor:
        """C_label of each sample, (B, D); a soft label p gives the sum of p_c C_c."""
        self.means_seen = self.means_seen or bool(self.class_means.any())
        if not self.means_seen:
            raise InputError(
                f'alpha={self.alpha} needs class means, but none are set: keep the ClassMeanHook '
                'in default_hooks.class_means, or set alpha=0',
                code='heads.not_set_up',
            )
        soft = 'gt_score' in data_samples[0]
        if soft or count == len(data_samples):  # not one that holds all labels
            for sample in data_samples:
                labels = sample.gt_score.sum() if soft else sample.gt_label.numel()
                if not abs(labels - 1) < 1e-4:
                    raise InputError(
                        'multi-label data are not supported: give '
                        f'{sample.get("img_path") or "each image"} one label',
                        code='heads.several_labels',
                    )
        if not soft:
            return self.class_means[torch.cat([sample.gt_label for sample in data_samples])]
        scores = torch.stack([sample.gt_score for sample in data_samples]).float()
        with torch.autocast(scores.device.type, enabled=False):
            return scores @ self.class_means
