"""An open_clip image tower seen as a trunk and a projection into the joint space.

x = project(trunk(image)),    trunk: (B, 3, H, W) -> (B, D_trunk),  project: -> (B, D)
"""

from collections.abc import Iterator

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import QuickGELU, VisionTransformer
from timm.models import group_parameters
from torch import Tensor, nn

from ..errors import InputError


class InPlaceQuickGELU(nn.Module):
    """x · sigmoid(1.702 x), equal to open_clip's, in the memory of x where no gradient needs it."""

    def forward(self, x: Tensor) -> Tensor:
        """The activation of x, of the same shape."""
        gate = torch.sigmoid_(1.702 * x)
        return x * gate if x.requires_grad else x.mul_(gate)


class ViTTower:
    """open_clip's own vision transformer; its projection is the matrix ``visual.proj``."""

    def __init__(self, visual: VisionTransformer) -> None:
        self.visual = visual
        self.trunk_dim, self.embed_dim = visual.proj.shape
        for block in visual.transformer.resblocks:
            if type(block.mlp.gelu) is QuickGELU:
                block.mlp.gelu = InPlaceQuickGELU()

    def trunk(self, images: Tensor) -> Tensor:
        """Pooled tokens before the projection: (B, 3, H, W) -> (B, D_trunk)."""
        tokens = self.visual.transformer(self.visual._embeds(images))
        return self.visual._pool(tokens)[0]

    def project(self, features: Tensor) -> Tensor:
        """(B, D_trunk) -> (B, D)."""
        return features @ self.visual.proj

    def projection(self) -> Iterator[nn.Parameter]:
        """The parameters of :meth:`project`."""
        yield self.visual.proj

    def last_block(self) -> Iterator[nn.Parameter]:
        """The parameters of the last transformer block and the norm behind it."""
        yield from self.visual.transformer.resblocks[-1].parameters()
        yield from self.visual.ln_post.parameters()


class TimmTower:
    """A timm trunk with open_clip's linear or MLP head, or its own classifier, as projection."""

    def __init__(self, visual: TimmModel) -> None:
        self.visual = visual
        parts = dict(visual.head.named_children())
        self.own_classifier = not parts and isinstance(visual.trunk.get_classifier(), nn.Linear)
        projecting = [parts[name] for name in ('drop', 'proj', 'mlp') if name in parts]
        if self.own_classifier:
            projecting = [visual.trunk.get_classifier()]
        self._projection = nn.Sequential(*projecting)
        linear = [m for m in self._projection.modules() if isinstance(m, nn.Linear)]
        self.trunk_dim = linear[0].in_features if linear else visual.trunk.num_features
        self.embed_dim = linear[-1].out_features if linear else self.trunk_dim

    def trunk(self, images: Tensor) -> Tensor:
        """Pooled features before the projection: (B, 3, H, W) -> (B, D_trunk)."""
        trunk, head = self.visual.trunk, self.visual.head
        if self.own_classifier:
            return trunk.forward_head(trunk.forward_features(images), pre_logits=True)
        features = trunk(images)
        return head.pool(features) if hasattr(head, 'pool') else features

    def project(self, features: Tensor) -> Tensor:
        """(B, D_trunk) -> (B, D)."""
        return self._projection(features)

    def projection(self) -> Iterator[nn.Parameter]:
        """The parameters of :meth:`project`."""
        yield from self._projection.parameters()

    def last_block(self) -> Iterator[nn.Parameter]:
        """The parameters of timm's last group of layers, the projection apart."""
        groups = group_parameters(self.visual.trunk, self.visual.trunk.group_matcher())
        projection = {id(p) for p in self.projection()}
        names = groups.pop(max(groups))
        if not any(part.isdigit() for name in names for part in name.split('.')):
            names += groups[max(groups)]  # that was a norm or pool behind the last block
        for name in names:
            parameter = self.visual.trunk.get_parameter(name)
            if id(parameter) not in projection:
                yield parameter


def split_tower(visual: nn.Module, model_name: str) -> ViTTower | TimmTower:
    """View ``visual`` as trunk and projection.

    Raises:
        InputError: for image towers of another kind (ResNets, CoCa), naming the model.
    """
    if isinstance(visual, VisionTransformer) and not visual.output_tokens:
        return ViTTower(visual)
    if isinstance(visual, TimmModel):
        return TimmTower(visual)
    kind = 'a ResNet' if isinstance(visual, ModifiedResNet) else 'a CoCa or unknown image tower'
    raise InputError(
        f"model_name='{model_name}' is {kind}, which OpenCLIPVisual does not support; choose a "
        "ViT such as 'ViT-L-14-quickgelu', or a timm tower",
        code='clip.unsupported_tower',
    )
