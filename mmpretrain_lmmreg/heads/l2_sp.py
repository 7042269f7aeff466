"""Fine-tuning that is held to the pretrained weights, without any text."""

from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from ..errors import require_range


@MODELS.register_module()
class L2SPClassifier(ImageClassifier):
    """``ImageClassifier`` with ``loss_sp`` = alpha / 2 * ‖W - W0‖² + beta / 2 * ‖V‖².

    Li, Grandvalet and Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional
    Networks", ICML 2018, L2-SP: W are the backbone's trained weights, V the weights and biases of
    the head, which is new. W0, the pretrained weights that training starts from, are buffers in
    the checkpoint, so that a resumed run is held to the same.

    Args:
        l2_sp: alpha, to be chosen on validation images.
        l2_new: beta; 0.01 in the paper.
        **kwargs: See mmpretrain's ``ImageClassifier``.
    """

    def __init__(self, *args, l2_sp: float = 0.1, l2_new: float = 0.01, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        require_range('l2_sp', l2_sp, 0)
        require_range('l2_new', l2_new, 0)
        self.l2_sp, self.l2_new = l2_sp, l2_new
        self._starts = {
            name: 'start_' + name.replace('.', '_')
            for name, parameter in self.backbone.named_parameters()
            if parameter.requires_grad
        }
        for name, start in self._starts.items():
            self.register_buffer(start, self.backbone.get_parameter(name).detach().clone())

    def init_weights(self) -> None:
        """Load the pretrained weights, and keep them as W0."""
        super().init_weights()
        for name, start in self._starts.items():
            self.get_buffer(start).copy_(self.backbone.get_parameter(name).detach())

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict:
        """The head's losses and ``loss_sp``."""
        distances = [
            (self.backbone.get_parameter(name) - self.get_buffer(start)).square().sum()
            for name, start in self._starts.items()
        ]
        new = [p.square().sum() for p in self.head.parameters() if p.requires_grad]
        losses = super().loss(inputs, data_samples)
        losses['loss_sp'] = self.l2_sp / 2 * sum(distances) + self.l2_new / 2 * sum(new)
        return losses
