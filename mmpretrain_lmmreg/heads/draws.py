"""Random draws that a resumed run repeats."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.dist import get_rank


def generator_of_step(step: int) -> torch.Generator:
    """A generator on the CPU that depends on the run's seed, the process and this step alone."""
    return torch.Generator().manual_seed(_seed_of_step(step))


@contextmanager
def draws_of_step(step: int, device: torch.device) -> Iterator[None]:
    """Inside, what draws without a generator, as dropout does, draws as such a generator would."""
    seed = _seed_of_step(step)
    with torch.random.fork_rng(devices=[device] if device.type == 'cuda' else []):
        torch.manual_seed(seed)
        yield


def _seed_of_step(step: int) -> int:
    seed = torch.initial_seed() + 1_000_003 * step + 7_919 * get_rank()
    return seed % 2**63
