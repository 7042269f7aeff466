"""Choosing images by seed: validation splits, few shots, class halves.

A sample is a dict with ``rel_path``, ``gt_label`` and, where there is one, ``group``. Nothing is
drawn: samples are put in the order of a hash of seed and name, so a choice is the same on every
machine and Python, whatever the order of the files.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from ..errors import InputError, require_one_of, require_range

Sample = dict[str, Any]


def seeded_rank(seed: object, name: str) -> bytes:
    """Sort key that puts names in an order which only the seed decides; letter case is ignored."""
    return hashlib.sha256(f'{seed}/{name.casefold()}'.encode(errors='surrogateescape')).digest()


def hold_out(
    samples: Sequence[Sample], fraction: float, seed: object
) -> tuple[list[Sample], list[Sample]]:
    """Split samples into (kept, held out): about ``fraction`` of each class is held out.

    A group is never divided, also where it spans classes: groups are taken in seeded order as
    long as that brings the classes nearer to ``fraction``. Each class keeps an image. Both
    parts keep the order of ``samples``.
    """
    if not 0 <= fraction < 1:
        raise InputError(
            f'{fraction} of the images cannot be held out; set val_fraction and test_fraction from '
            '0 to below 1',
            code='config.out_of_range',
        )
    if not fraction:
        return list(samples), []
    units: dict[str, Counter[int]] = defaultdict(Counter)
    for sample in samples:
        units[_unit(sample)][sample['gt_label']] += 1
    total = Counter(sample['gt_label'] for sample in samples)
    held: Counter[int] = Counter()
    chosen: set[str] = set()
    for unit in sorted(units, key=lambda name: seeded_rank(seed, name)):
        counts = units[unit]
        gain = sum(
            abs(held[c] - fraction * total[c]) - abs(held[c] + n - fraction * total[c])
            for c, n in counts.items()
        )
        if gain > 0 and all(held[c] + n < total[c] for c, n in counts.items()):
            held.update(counts)
            chosen.add(unit)
    parts: tuple[list[Sample], list[Sample]] = ([], [])
    for sample in samples:
        parts[_unit(sample) in chosen].append(sample)
    return parts


def _unit(sample: Sample) -> str:
    return f'group {sample["group"]}' if sample.get('group') else f'image {sample["rel_path"]}'


def few_shot(samples: Sequence[Sample], shots: int, seed: object) -> list[Sample]:
    """Choose ``shots`` samples of each class, or all of a class that has fewer.

    With one seed, the choice for fewer shots is part of the choice for more.
    """
    require_range('shots', shots, 1)
    taken: Counter[int] = Counter()
    chosen: set[str] = set()
    for sample in sorted(samples, key=lambda s: seeded_rank(seed, s['rel_path'])):
        if taken[sample['gt_label']] < shots:
            taken[sample['gt_label']] += 1
            chosen.add(sample['rel_path'])
    return [sample for sample in samples if sample['rel_path'] in chosen]


def half_of_classes(num_classes: int, half: str) -> range:
    """Labels of the ``'base'`` or ``'new'`` half: base has the first ceil(n / 2), as in CoCoOp."""
    middle = (num_classes + 1) // 2
    halves = {'base': range(middle), 'new': range(middle, num_classes)}
    require_one_of('class_half', half, halves)
    return halves[half]
