"""Random draws that a resumed run repeats."""

import torch
from mmengine.dist import get_rank


def generator_of_step(step: int) -> torch.Generator:
    """A generator on the CPU that depends on the run's seed, the process and this step alone."""
    seed = torch.initial_seed() + 1_000_003 * step + 7_919 * get_rank()
    return torch.Generator().manual_seed(seed % 2**63)
