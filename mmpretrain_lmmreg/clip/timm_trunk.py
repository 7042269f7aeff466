"""A timm trunk whose features are kept in the feature table, beside those of CLIP's."""

import textwrap
from collections.abc import Iterator
from typing import Any

import timm
import torch
import torch.nn.functional as F
from mmpretrain.models.utils import ClsDataPreprocessor
from torch import Tensor

from ..errors import InputError
from ..io.files import digest_tensors
from .weights import no_waiting_for_hub


class TimmTrunk:
    """A frozen timm model without its classifier, as what the feature table asks a classifier for.

    Args:
        name: timm's name of a model with pretrained weights, such as
            ``'vit_base_patch16_224.dino'``, or ``'local-dir:FOLDER'`` with timm's ``config.json``
            beside the weights.
        to_rgb: Whether the images come as BGR.
        device: Where it runs.

    Raises:
        InputError: a name, folder or weights that timm cannot get.
    """

    precision = 'float32'

    def __init__(self, name: str, to_rgb: bool, device: torch.device | str = 'cpu') -> None:
        self.name = name
        try:
            with no_waiting_for_hub():
                model = timm.create_model(name, pretrained=True, num_classes=0)
        except Exception as error:  # timm's and Hugging Face's are of many kinds
            raise InputError(
                f'timm cannot make {name!r}: give a model of timm.list_models(pretrained=True) '
                'whose weights are on disk or can be fetched, or local-dir:FOLDER '
                f'({textwrap.shorten(str(error), 160)})',
                code='clip.no_timm_model',
            ) from error
        self.model: Any = model.eval().requires_grad_(False).to(device)
        config = timm.data.resolve_model_data_config(model)
        self.size = tuple(config['input_size'][1:])
        mean, std = ([255 * value for value in config[key]] for key in ('mean', 'std'))
        self.data_preprocessor = ClsDataPreprocessor(mean, std, to_rgb=to_rgb).to(device)
        self.backbone, self.trunk_dim = self, model.num_features

    def forward_trunk(self, images: Tensor) -> Tensor:
        """Pooled features: (B, 3, H, W) of any size -> (B, D_trunk)."""
        if tuple(images.shape[-2:]) != self.size:
            images = F.interpolate(images, self.size, mode='bicubic', antialias=True)
        return self.model(images)

    def parameters(self) -> Iterator[Tensor]:
        """Those of the model, by whose device batches are made."""
        return self.model.parameters()

    def trunk_fingerprint(self) -> dict:
        """What determines the features of given pixels."""
        weights = digest_tensors(self.model.state_dict())
        return dict(timm=self.name, size=self.size, weights=weights)
