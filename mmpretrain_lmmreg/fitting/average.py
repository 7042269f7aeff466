"""A classifier whose logits are a weighted sum of those of several methods."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from torch import Tensor

from ..deploy.head_form import sum_forms
from ..deploy.standalone import head_logits
from ..errors import InputError
from ..heads.base import SetUpHead, not_set_up
from ..heads.inputs import HeadInputs
from .inputs import WholeInputs
from .training import train_subsets

# of a method's config: what its training depends on
PARTS = ('optim_wrapper', 'param_scheduler', 'train_cfg', 'schedule_epochs', 'train_dataloader')


@MODELS.register_module()
class AverageHead(SetUpHead, ClsHead):
    """Sum over methods of weight * logits, each trained by itself on the same trunk features.

    A weighted sum of logits is the logarithm of a weighted geometric mean of probabilities.
    Training takes place before the first step and needs ``model.backbone.output='trunk'``. Buffers
    are the tensors of :func:`mmpretrain_lmmreg.deploy.standalone.head_logits`.

    Args:
        num_classes: N_c.
        members: What is averaged: dicts with ``weight``, ``head`` (as ``model.head``,
            ``num_classes`` apart) and, where the method trains, ``trainable``, ``optim_wrapper``,
            ``train_cfg`` and others of its config; see :func:`member_of`.
        in_channels: D_trunk; found out when trained, by default.

    Raises:
        InputError: no members, or a backbone that gives embeddings.
    """

    def __init__(
        self,
        num_classes: int,
        members: Sequence[dict],
        in_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not members:
            raise InputError(
                'model.head.members is empty: name what is averaged', code='config.out_of_range'
            )
        self.num_classes, self.in_channels = num_classes, in_channels or 0
        self.members = members
        self.register_buffer('weight', torch.zeros(num_classes, self.in_channels))
        self.register_buffer('bias', torch.zeros(num_classes))

    @classmethod
    def described_splits(cls, head: dict, means: dict) -> tuple[str, ...]:
        """Those of the members."""
        heads = [member['head'] for member in head.get('members', ())]
        kinds = [(MODELS.get(each['type']), each) for each in heads]
        splits = [kind.described_splits(each, means) for kind, each in kinds]
        return tuple(dict.fromkeys(split for found in splits for split in found))

    def set_up(self, inputs: HeadInputs) -> None:
        """Train the members on all training images."""
        if inputs.trained:
            return
        backbone = inputs.model.backbone
        if getattr(backbone, 'output', None) != 'trunk':
            raise InputError(
                "AverageHead projects by itself: set model.backbone.output='trunk' and "
                "trainable='none'",
                code='config.wrong_setting',
            )
        whole = WholeInputs.of(inputs)
        everything = torch.arange(len(whole.labels))
        forms = []
        for member in self.members:
            cfg = config_of_member(member, self.num_classes, backbone)
            forms += train_subsets(cfg, whole, [everything], torch.initial_seed() % 2**31)
        for name, tensor in sum_forms(forms, [m['weight'] for m in self.members]).items():
            self.register_buffer(name, tensor.to(whole.trunk))

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Logits (B, N_c) of trunk features (B, D_trunk)."""
        if not self.weight.any() and 'unit0_projection' not in self._buffers:
            raise not_set_up(self)
        return head_logits(self.pre_logits(feats), self._buffers)

    def exported_cache(self) -> dict[str, Tensor]:
        """The parts that are not linear, see the base class."""
        return {name: t for name, t in self._buffers.items() if name.startswith('unit')}

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for key, tensor in state_dict.items():
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and name.startswith('unit'):
                self.register_buffer(name, torch.empty_like(tensor))
            elif key == f'{prefix}weight' and not self.in_channels:
                self.weight = tensor.new_empty(self.num_classes, tensor.shape[-1])
        super()._load_from_state_dict(state_dict, prefix, *args)


def member_of(cfg: Config, weight: float) -> dict[str, Any]:
    """A method's config as a member of an average."""
    model = cfg.model
    own = {key: cfg[key] for key in PARTS if key in cfg}
    own['train_dataloader'] = dict(batch_size=cfg.train_dataloader.batch_size)
    own['train_cfg'] = {k: v for k, v in cfg.train_cfg.items() if k in ('max_epochs', 'min_iters')}
    own['trainable'] = model.backbone.get('trainable', 'proj')
    own['output'] = model.backbone.get('output', 'embedding')
    head = {k: v for k, v in model.head.items() if k not in ('num_classes', 'in_channels')}
    return Config(dict(weight=weight, head=head, **own)).to_dict()


def config_of_member(member: dict, num_classes: int, backbone: Any) -> Config:
    """The config that :func:`train_subsets` takes, of a member."""
    output = member.get('output', 'embedding')
    width = backbone.trunk_dim if output == 'trunk' else backbone.embed_dim
    head = dict(member['head'], num_classes=num_classes, in_channels=width)
    own = {key: member[key] for key in PARTS if key in member}
    model = dict(backbone=dict(output=output, trainable=member.get('trainable', 'none')), head=head)
    defaults = dict(train_dataloader=dict(batch_size=64), train_cfg=dict(max_epochs=1))
    return Config(ConfigDict(defaults | own, model=model))
