"""A classifier's logits as tensors that need no mm* package, of ``standalone.head_logits``."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..heads.base import SetUpHead
from .standalone import head_logits

AGREE = 1e-6  # of the largest logit


class HeadForm(NamedTuple):
    """Tensors of :func:`head_logits`, and whether embeddings are normalised before."""

    tensors: dict[str, Tensor]
    normalize: bool


@torch.no_grad()
def head_form(head: Any, dim: int) -> HeadForm:
    """What gives a head's logits of embeddings (B, D), found by asking it for some.

    Whatever a head was learned from, over fixed classes it is most often linear in the embedding,
    or in its unit vector. A head that is more than that has ``exported_cache()``.

    Raises:
        InputError: a head of another form, or one that needs the text of each image.
    """
    name = type(head).__name__
    ours = isinstance(head, SetUpHead)
    if ours and head.inputs_at_test:
        raise InputError(
            f'export: the text that {name} classifies with depends on each image, so that there '
            'is no classifier that could be exported; use tools/test.py',
            code='deploy.text_of_each_image',
        )
    head = copy.deepcopy(head).double().cpu().eval()  # so that differences of logits are exact
    cache = head.exported_cache() if ours else {}

    def logits(x: Tensor) -> Tensor:
        return head((x,)) - head_logits(x, dict(weight=x.new_zeros(1, dim)) | cache)

    probes = torch.randn(8, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = logits(probes)
    normalize = torch.allclose(found, logits(2 * probes), AGREE, AGREE)
    # the direction of a zero vector is no direction: the constant is halfway between opposites
    units = torch.eye(dim, dtype=torch.float64)
    plus, minus = logits(units), logits(-units)
    bias = (plus + minus).mean(0) / 2
    weight = (plus - minus).T / 2
    expected = F.linear(F.normalize(probes, dim=1) if normalize else probes, weight, bias)
    if not (expected - found).abs().max() <= AGREE * found.abs().max().clamp_min(1):
        raise InputError(
            f'export: {name} is not a linear classifier of the embedding or of its unit vector',
            code='deploy.not_exported',
        )
    tensors = dict(weight=weight, bias=bias, **cache)
    return HeadForm({n: t.float().contiguous() for n, t in tensors.items()}, normalize)


@torch.no_grad()
def trunk_form(head: Any, project: Callable | None, dims: tuple[int, int]) -> dict[str, Tensor]:
    """A classifier's logits as tensors of :func:`head_logits` that take trunk features.

    Args:
        head: Classifies embeddings, or trunk features where there is no ``project``.
        project: Trunk features (B, D_trunk) -> embeddings (B, D).
        dims: D_trunk and D.

    Raises:
        InputError: what :func:`head_form` raises; a projection that is not linear.
    """
    if project is None:
        return head_form(head, dims[0]).tensors
    (tensors, normalize), matrix = head_form(head, dims[1]), _matrix(project, dims[0])
    if not normalize:
        weight, bias = tensors['weight'], tensors['bias']
        return dict(weight=weight @ matrix[:, :-1], bias=bias + weight @ matrix[:, -1])
    unit = {f'unit0_{name}': tensor for name, tensor in tensors.items() if name != 'bias'}
    nothing = matrix.new_zeros(len(tensors['bias']), dims[0])
    return dict(weight=nothing, bias=tensors['bias'], unit0_projection=matrix, **unit)


def _matrix(project: Callable, dim: int) -> Tensor:
    """A linear projection and its bias, (D, D_trunk + 1)."""
    bias = project(torch.zeros(1, dim))
    matrix = torch.cat([project(torch.eye(dim)) - bias, bias]).T.contiguous()
    probes = torch.randn(8, dim, generator=torch.Generator().manual_seed(0))
    if not torch.allclose(project(probes), F.pad(probes, (0, 1), value=1.0) @ matrix.T, 1e-3, 1e-3):
        raise InputError(
            'the output projection of this CLIP model is not linear: choose another model',
            code='deploy.not_exported',
        )
    return matrix


def sum_forms(forms: Sequence[dict[str, Tensor]], factors: Sequence[float]) -> dict[str, Tensor]:
    """Tensors of :func:`head_logits` that give the weighted sum of the logits of others."""
    pairs = list(zip(forms, factors, strict=True))
    total = {n: torch.stack([f * form[n] for form, f in pairs]).sum(0) for n in ('weight', 'bias')}
    units: list[dict[str, Tensor]] = []
    for form, factor in pairs:
        number = 0
        while f'unit{number}_projection' in form:
            prefix, number = f'unit{number}_', number + 1
            unit = {n.removeprefix(prefix): t for n, t in form.items() if n.startswith(prefix)}
            for name in {'weight', 'key_values'} & unit.keys():
                unit[name] = factor * unit[name]
            _add_unit(units, unit)
    named = {f'unit{i}_{n}': t for i, unit in enumerate(units) for n, t in unit.items()}
    return {name: tensor.contiguous() for name, tensor in (total | named).items()}


def _add_unit(units: list[dict[str, Tensor]], unit: dict[str, Tensor]) -> None:
    """Add a unit, to one of the same projection if there is one."""
    for other in units:
        both_cached = 'keys' in other and 'keys' in unit
        if torch.equal(other['projection'], unit['projection']) and not both_cached:
            other.update({**unit, 'weight': other['weight'] + unit['weight']})
            return
    units.append(dict(unit))
