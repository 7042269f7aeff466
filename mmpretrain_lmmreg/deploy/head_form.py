"""A head's logits as tensors that need no mm* package: a matrix, and a cache of keys if any."""

import copy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..heads.base import SetUpHead

AGREE = 1e-6  # of the largest logit


class HeadForm(NamedTuple):
    """``weight`` (N_c, D), ``bias`` (N_c,), those of a cache; whether embeddings are normalised."""

    tensors: dict[str, Tensor]
    normalize: bool


@torch.no_grad()
def head_form(head: Any, dim: int) -> HeadForm:
    """What gives a head's logits of embeddings (B, D), found by asking it for some.

    Whatever a head was learned from, over fixed classes it is most often linear in the embedding,
    or in its unit vector. A head that is more than that has ``exported_cache()``: tensors ``keys``
    (K, D), ``key_values`` (K, N_c) and ``key_sharpness`` (), which stand for the logits
    exp(key_sharpness * (cos(x, keys) - 1)) @ key_values beside linear ones.

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
        return head((x,)) - (cached_logits(F.normalize(x, dim=1), **cache) if cache else 0)

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


def cached_logits(x: Tensor, keys: Tensor, key_values: Tensor, key_sharpness: Tensor) -> Tensor:
    """Logits (B, N_c) that unit embeddings (B, D) get from a cache; see :func:`head_form`."""
    return (key_sharpness * (x @ keys.T - 1)).exp() @ key_values
