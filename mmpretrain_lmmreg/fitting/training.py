"""Train a method on several subsets of the images at once, by its config, on trunk features.

What a config says holds: head, optimizer, schedule, batch size and number of steps. The models of
all subsets take their steps together, as one batch of matrices.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ..deploy.head_form import trunk_form
from ..errors import InputError
from ..heads.base import SetUpHead
from ..runner import as_long_as_the_run
from .inputs import SubsetInputs, WholeInputs


def train_subsets(
    cfg: Config, inputs: WholeInputs, subsets: Sequence[Tensor], seed: int = 0
) -> list[dict[str, Tensor]]:
    """Train the model of a config on each subset of the images.

    Args:
        cfg: A method's config, put on a data set's; of it ``model.head``, ``output`` and
            ``trainable`` of ``model.backbone``, ``optim_wrapper``, ``param_scheduler``,
            ``train_cfg``, ``schedule_epochs`` and ``train_dataloader.batch_size``.
        inputs: Of all images, with a model of this backbone, which is left as it was.
        subsets: Indices of the training images of each subset.
        seed: Of initial weights and of the order of the images.

    Returns:
        Each trained classifier as tensors of :func:`head_logits` that take trunk features.

    Raises:
        InputError: what the method raises; a classifier that has no such form; a method that
            cannot be trained so.
    """
    model, backbone = inputs.model, inputs.model.backbone
    trainable = [p.requires_grad for p in backbone.parameters()]
    before = model.head, backbone.output
    try:
        with torch.random.fork_rng(devices=[]):
            return _trained_forms(cfg, inputs, subsets, seed)
    finally:
        model.head, backbone.output = before
        for parameter, was in zip(backbone.parameters(), trainable, strict=True):
            parameter.requires_grad = was


def _trained_forms(
    cfg: Config, inputs: WholeInputs, subsets: Sequence[Tensor], seed: int
) -> list[dict[str, Tensor]]:
    model, backbone = inputs.model, inputs.model.backbone
    trainable = cfg.model.backbone.get('trainable', 'proj')
    if trainable not in ('proj', 'none'):
        raise InputError(
            f"trainable='{trainable}' does not work on kept trunk features of several subsets: "
            "choose 'proj' or 'none'",
            code='config.wrong_setting',
        )
    backbone.requires_grad_(False)
    backbone.output = cfg.model.backbone.get('output', 'embedding')
    if trainable == 'proj':
        for parameter in backbone.tower.projection():
            parameter.requires_grad = True
    heads = [_set_up_head(cfg, inputs, subset, seed) for subset in subsets]
    states = _train(cfg, model, heads, inputs.trunk, inputs.labels, list(subsets), seed)
    forms = []
    for head, state in zip(heads, states, strict=True):

        def project(x: Tensor, state: dict = state) -> Tensor:
            x = x.to(inputs.trunk)
            return functional_call(backbone, state, (x,))[0].cpu()

        if isinstance(head, SetUpHead):
            head.after_epoch(())  # which keeps what it is tested by
        on_trunk = backbone.output == 'trunk'
        dims = (backbone.trunk_dim, backbone.embed_dim)
        forms.append(trunk_form(head, None if on_trunk else project, dims))
    return forms


def _set_up_head(cfg: Config, inputs: WholeInputs, train: Tensor, seed: int) -> Any:
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        head = MODELS.build(cfg.model.head)
    if isinstance(head, SetUpHead) and ('steps' in head.state_dict() or not head.reads_labels):
        raise InputError(
            f'{type(head).__name__} cannot be averaged: it draws anew at each step, or labels the '
            'images by itself; leave it out of model.head.members',
            code='config.wrong_setting',
        )
    head.init_weights()
    inputs.model.head = head.to(inputs.trunk.device)
    with torch.no_grad():
        head.set_up(SubsetInputs(inputs, train))
    return head.train()


def _train(
    cfg: Config,
    model: ImageClassifier,
    heads: list[Any],
    features: Tensor,
    labels: Tensor,
    trainings: list[Tensor],
    seed: int,
) -> list[dict[str, Tensor]]:
    """Train the heads in place; returns each one's weights of the projection."""
    model.head = heads[0]
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    if not names:
        return [{} for _ in heads]
    shapes = [[p.shape for p in head.parameters()] for head in heads]
    if any(shape != shapes[0] for shape in shapes):  # a cache of as many keys as images
        parts = zip(heads, trainings, strict=True)
        return [_train(cfg, model, [h], features, labels, [t], seed)[0] for h, t in parts]
    states = [_head_state(head) for head in heads]
    whole: dict[str, Tensor] = dict(model.named_parameters())
    projects = any(name.startswith('backbone.') for name in names)
    if not projects:
        with torch.no_grad():
            features = model.backbone(features)[0]
    loss = _Loss(model.backbone if projects else None, heads[0])
    params = {
        name: torch.stack([state.get(name, whole[name]).detach().clone() for state in states])
        for name in names
    }
    params = {name: nn.Parameter(p) for name, p in params.items()}
    buffers = {
        name: torch.stack([state[name] for state in states])
        for name, value in states[0].items()
        if name not in params and not all(torch.equal(value, s[name]) for s in states)
    }
    gradient = _gradient(loss, features[trainings[0][:2]], labels[trainings[0][:2]], len(heads))
    _run(cfg, params, buffers, gradient, features, labels, trainings, seed)
    for k, head in enumerate(heads):
        own = {n.removeprefix('head.'): p[k] for n, p in params.items() if n.startswith('head.')}
        for name, value in own.items():
            head.get_parameter(name).data = value.detach().clone()
    prefix = 'backbone.'
    return [
        {n.removeprefix(prefix): p[k].detach() for n, p in params.items() if n.startswith(prefix)}
        for k in range(len(heads))
    ]


def _head_state(head: nn.Module) -> dict[str, Tensor]:
    return {f'head.{name}': value.detach() for name, value in head.state_dict().items()}


class _Loss(nn.Module):
    """The summed loss of a batch: of trunk features, or of embeddings without a backbone."""

    def __init__(self, backbone: Any, head: Any) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        embeddings = (x,) if self.backbone is None else self.backbone(x)
        found = self.head.loss(embeddings, [DataSample(gt_label=labels)])
        return sum((value for name, value in found.items() if 'loss' in name), x.new_zeros(()))


def _gradient(module: _Loss, features: Tensor, labels: Tensor, count: int) -> Any:
    """Gradients of the summed loss with respect to stacked parameters, model by model."""

    def loss(params: dict, buffers: dict, x: Tensor, y: Tensor) -> Tensor:
        return functional_call(module, params | buffers, (x, y))

    module(features, labels)  # what is checked once, is now
    if count > 1:
        return vmap(grad(loss))

    def alone(params: dict, *others: Any) -> dict:
        found = grad(loss)(_first(params), *map(_first, others))
        return {name: value[None] for name, value in found.items()}

    return alone


def _first(stacked: Any) -> Any:
    if isinstance(stacked, dict):
        return {name: value[0] for name, value in stacked.items()}
    return stacked[0]


def _run(cfg, params, buffers, gradient, features, labels, trainings, seed) -> None:
    batch = min(cfg.train_dataloader.batch_size, *map(len, trainings))
    epoch = max(math.ceil(max(map(len, trainings)) / cfg.train_dataloader.batch_size), 1)
    epochs = max(cfg.train_cfg.max_epochs, math.ceil(cfg.train_cfg.get('min_iters', 0) / epoch))
    batches = [_batches(train, batch, seed) for train in trainings]
    wrapper = build_optim_wrapper(_Parameters(list(params.values())), cfg.optim_wrapper)
    optimizer = wrapper.optimizer
    schedulers = _schedulers(cfg, optimizer, epochs, epoch)
    clip = cfg.optim_wrapper.get('clip_grad')
    for step in range(epochs * epoch):
        rows = torch.stack([next(each) for each in batches])
        grads = gradient(params, buffers, features[rows], labels[rows])
        if clip:
            norm = sum(g.flatten(1).square().sum(1) for g in grads.values()).sqrt()
            scale = (clip['max_norm'] / (norm + 1e-6)).clamp_max(1)
        for name, parameter in params.items():
            g = grads[name]
            parameter.grad = g * scale.view(-1, *[1] * (g.ndim - 1)) if clip else g
        optimizer.step()
        for scheduler in schedulers:
            if scheduler.by_epoch is False or (step + 1) % epoch == 0:
                scheduler.step()


class _Parameters(nn.Module):
    def __init__(self, parameters: list[Tensor]) -> None:
        super().__init__()
        self.stacked = nn.ParameterList(parameters)


def _schedulers(cfg: Config, optimizer: Any, epochs: int, epoch: int) -> list[Any]:
    built = []
    for each in as_long_as_the_run(cfg.get('param_scheduler') or [], cfg, epochs):
        each = copy.deepcopy(dict(each))
        kind = PARAM_SCHEDULERS.get(each.pop('type'))
        by_iter = each.pop('convert_to_iter_based', False)
        if each.get('by_epoch', True) and 'end' not in each:
            each['end'] = epochs
        make = kind.build_iter_from_epoch if by_iter else kind
        built.append(make(optimizer, **each, **(dict(epoch_length=epoch) if by_iter else {})))
    return built


def _batches(rows: Tensor, size: int, seed: int) -> Iterator[Tensor]:
    """Batches of shuffled rows without end."""
    generator = torch.Generator().manual_seed(seed)
    left = rows[:0]
    while True:
        while len(left) < size:
            left = torch.cat([left, rows[torch.randperm(len(rows), generator=generator)]])
        yield left[:size]
        left = left[size:]
