"""L2-regularised logistic regression on image embeddings."""

import torch
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from torch import Tensor

from ..errors import InputError, require_range
from ..text.class_means import class_counts
from .base import SetUpHead, not_set_up
from .inputs import HeadInputs
from .stacking import logistic_regression


@MODELS.register_module()
class LogisticRegressionHead(SetUpHead, ClsHead):
    """scikit-learn's logistic regression: min ‖W‖² / 2 + C * sum of the cross-entropies.

    The linear probe of Radford et al., "Learning Transferable Visual Models From Natural Language
    Supervision", 2021, appendix A.3: L-BFGS to convergence, C chosen on validation images.
    ``weight`` (N_c, D) and ``bias`` (N_c,) are buffers. Theirs is of the features before the
    projection: ``model.backbone.output='trunk'``, as in ``configs/methods/logreg_trunk.py``.

    Args:
        in_channels: D, the width of what the backbone gives; found out when fitted, by default.
        C: Inverse strength of the regulariser; the default is that of CLIP's own example.
        max_iter: Of L-BFGS, 1000 as in CLIP; scikit-learn warns where that was not enough.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int | None = None,
        C: float = 0.316,
        max_iter: int = 1000,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        require_range('C', C, 1e-12)
        require_range('max_iter', max_iter, 1)
        self.num_classes = num_classes
        self.in_channels = in_channels or 0  # found out when fitted
        self.C, self.max_iter = C, max_iter
        self.register_buffer('weight', torch.zeros(num_classes, self.in_channels))
        self.register_buffer('bias', torch.zeros(num_classes))

    def set_up(self, inputs: HeadInputs) -> None:
        """Fit to all training images."""
        if not inputs.trained:
            self.fit(*inputs.image_embeddings)

    def fit(self, x: Tensor, labels: Tensor) -> None:
        """Fit to embeddings (N, D) and labels (N,)."""
        class_counts(labels, self.num_classes)
        if (x == x[0]).all():
            raise InputError(
                'all training images have the same embedding, so there is nothing to fit: look at '
                'the images',
                code='heads.equal_images',
            )
        weight, bias = logistic_regression(x, labels, self.C, self.max_iter)
        self.weight = weight.to(x)
        self.bias.copy_(bias)

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Logits (B, N_c) of embeddings (B, D)."""
        if not self.weight.any():
            raise not_set_up(self)
        return F.linear(self.pre_logits(feats), self.weight, self.bias)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        weight = state_dict.get(prefix + 'weight')
        if weight is not None and not self.in_channels:
            self.weight = self.weight.new_empty(self.num_classes, weight.shape[-1])
        super()._load_from_state_dict(state_dict, prefix, *args)
