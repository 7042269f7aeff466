"""Tip-Adapter: a cache of the training images beside the zero-shot classifier."""

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..errors import InputError, require_range
from .zero_shot import ZeroShotHead


@MODELS.register_module()
class TipAdapterHead(ZeroShotHead):
    """Zero-shot logits plus alpha * sum over the training images of exp(-beta (1 - cos)) * label.

    Zhang, Zhang, Fang, Gao, Li, Dai, Qiao and Li, "Tip-Adapter: Training-free Adaption of CLIP for
    Few-shot Classification", ECCV 2022. The cache, ``keys`` (N, D) of unit length and
    ``key_labels`` (N,), is filled before training and kept in the checkpoint. The authors
    average ten random crops of each image into its key, this takes one view.

    Args:
        alpha: Residual ratio; 1 in the paper, which tunes it for each data set.
        beta: Sharpness; 5.5 in the paper, likewise.
        train_keys: Tip-Adapter-F: the keys are trained from there on (in the paper 20 epochs of
            AdamW at 1e-3 with a cosine schedule); in one process only.
        **kwargs: See :class:`ZeroShotHead`.
    """

    fits_images = True
    any_length: tuple[str, ...] = ('keys', 'key_labels')

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        alpha: float = 1.0,
        beta: float = 5.5,
        train_keys: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        if train_keys and get_world_size() > 1:
            raise InputError(
                'train_keys=True works in one process only: the size of the cache is '
                'not known yet when the model is distributed; leave out the launcher',
                code='heads.one_process_only',
            )
        require_range('alpha', alpha, 0)
        require_range('beta', beta, 0)
        self.alpha, self.beta = alpha, beta
        self.keys = nn.Parameter(torch.zeros(0, in_channels), requires_grad=train_keys)
        self.register_buffer('key_labels', torch.zeros(0, dtype=torch.long))

    def fit(self, x: Tensor, labels: Tensor) -> None:
        """Keep the embeddings (N, D) and labels (N,) of all training images."""
        self.keys.data = F.normalize(x, dim=1)  # in place, the optimiser holds the parameter
        self.key_labels = labels

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, N_c) of unit embeddings (B, D)."""
        numbers = torch.arange(self.num_classes, device=x.device)
        values = (self.key_labels[:, None] == numbers).to(x)  # one_hot knows no vmap
        cache = (self.beta * (x @ self.keys.T - 1)).exp() @ values
        return super().logits(x) + self.alpha * cache

    def exported_cache(self) -> dict[str, Tensor]:
        """The cache for :func:`mmpretrain_lmmreg.deploy.head_form.head_form`."""
        values = self.alpha * F.one_hot(self.key_labels, self.num_classes).to(self.keys)
        sharpness = self.keys.new_tensor(self.beta)
        return dict(keys=self.keys.detach(), key_values=values, key_sharpness=sharpness)
