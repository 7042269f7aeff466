"""How often the paired test calls two equally good methods different, far into the tail.

python dev/calibrate_tests.py analytic            # seconds: what normal parts give, by quadrature
python dev/calibrate_tests.py simulate OUT.json   # half an hour on one core; goes on where it was
python dev/calibrate_tests.py table OUT.json      # the tables of docs/statistics.md

The difference of two methods has a variance from runs, whose share of the total is given, and one
from images. ``analytic`` integrates over the one estimate that is uncertain, the variance
between few runs. ``simulate`` draws right and wrong answers image by image, as the test's own code
sees them, and counts; its first draws are compared with that code.
"""

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from mmpretrain_lmmreg.evidence import inference

SEEDS = (3, 5, 10)
LEVELS = (5e-2, 1e-2, 1e-3, 1e-4)
SHARES = (0, 0.3, 0.6, 0.8, 0.9)
IMAGES = (50, 200)
PAIRS = 1_000_000
BATCH = 2000


def harmonic(runs, images, df, images_df, level):
    """Squared half width by one t, whose degrees of freedom are weighted by variances."""
    total = runs + images
    return total * stats.t.isf(level / 2, total / (runs / df + images / images_df)) ** 2


def welch(runs, images, df, images_df, level):
    """The same with Welch's and Satterthwaite's degrees of freedom."""
    total = runs + images
    return total * stats.t.isf(level / 2, total**2 / (runs**2 / df + images**2 / images_df)) ** 2


def banerjee(runs, images, df, images_df, level):
    """A t of its own for each variance, as :class:`inference.Uncertainty` has it."""
    t = stats.t.isf(level / 2, [df, images_df])
    return runs * t[0] ** 2 + images * t[1] ** 2


RULES = {'one t, harmonic': harmonic, 'one t, Welch': welch, 'a t each': banerjee}
MANY = 10**6


def rejected(rule, seeds: int, share: float, level: float) -> float:
    """False positives of normal parts with many images, by quadrature over log chi-square."""
    x = np.linspace(-60, 8, 6001)
    chi = np.exp(x)
    weights = stats.chi2.pdf(chi, seeds - 1) * chi * (x[1] - x[0])
    runs = np.maximum(share, 1e-9) * chi / (seeds - 1)
    half = np.sqrt(rule(runs, 1 - share, seeds - 1, MANY, level))
    return float((weights * 2 * stats.norm.sf(half)).sum())


def draw(generator, pairs: int, images: int, seeds: int, shift: float, chance: float):
    """(pairs, S, N) differences of two methods' right (1) and wrong (0) answers."""

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    ease = normal(pairs, 1, images) * 2 + 1
    right = [
        ease
        + 0.5 * normal(pairs, 1, images)
        + chance * normal(pairs, seeds, images)
        + shift * normal(pairs, seeds, 1)
        > 0
        for _ in range(2)
    ]
    return right[0].float() - right[1].float()


def parts(difference: torch.Tensor) -> tuple[np.ndarray, ...]:
    """Mean, and the variances of runs and of images, as :func:`inference.uncertainty` has them."""
    d = difference.double()
    seeds, count = d.shape[1:]
    means = d.mean(2)
    effects = d.mean(1) - means.mean(1, keepdim=True)
    residuals = d - means[:, :, None] - effects[:, None]
    noise = (residuals**2).sum((1, 2)) / ((seeds - 1) * (count - 1) * seeds * count)
    images = ((effects**2).sum(1) / (count * (count - 1)) - noise).clamp(min=0)
    differ = (d != d[:, :1]).any((1, 2))
    runs = torch.where(differ, means.var(1).clamp(min=1 / (12 * count**2)), 0.0) / seeds
    return means.mean(1).numpy(), runs.numpy(), images.numpy()


def shift_for(share: float, images: int, seeds: int, chance: float) -> float:
    """The shift of whole runs with which runs have this share of the variance."""
    low, high = 0.0, 2.0
    for _ in range(12):
        middle = (low + high) / 2
        _, runs, rest = parts(draw(seeded(7), BATCH, images, seeds, middle, chance))
        if runs.mean() < share * (runs.mean() + rest.mean()):
            low = middle
        else:
            high = middle
    return low


def seeded(number: int) -> torch.Generator:
    """A generator of random numbers."""
    return torch.Generator().manual_seed(number)


def agree(difference: torch.Tensor) -> None:
    """Raise unless the counts below are those of the test itself."""
    for each, _, runs, images in zip(difference, *parts(difference), strict=True):
        known = inference.uncertainty(np.arange(each.shape[1]), each.numpy())
        np.testing.assert_allclose([known.runs[0][0], known.images[0]], [runs, images], atol=1e-12)
        half = banerjee(runs, images, known.runs[0][1], known.images[1], 1e-3)
        np.testing.assert_allclose(known.half_width(np.log(1e-3)) ** 2, half, rtol=1e-6)


def simulate(images: int, seeds: int, share: float) -> dict:
    """Share of false positives of each rule and level, and the share of variance there was."""
    chance = 0.25 if share else 0.02
    shift = shift_for(share, images, seeds, chance) if share else 0.0
    generator = seeded(1000 * seeds + round(100 * share))
    agree(draw(generator, 200, images, seeds, shift, chance))
    counts = {name: dict.fromkeys(map(str, LEVELS), 0) for name in RULES}
    totals = np.zeros(2)
    for _ in range(PAIRS // BATCH):
        mean, runs, rest = parts(draw(generator, BATCH, images, seeds, shift, chance))
        totals += runs.mean(), rest.mean()
        known = runs + rest > 0
        for name, rule in RULES.items():
            for level in LEVELS:
                half = rule(np.maximum(runs, 1e-30), rest, seeds - 1, images - 1, level)
                counts[name][str(level)] += int((known & (mean**2 > half)).sum())
    share = float(totals[0] / totals.sum())
    return dict(images=images, seeds=seeds, share=share, pairs=PAIRS, counts=counts)


def run(out: Path) -> None:
    """All cells that ``out`` does not have yet."""
    torch.set_num_threads(1)
    cells = json.loads(out.read_text()) if out.is_file() else {}
    todo = [
        cell for cell in product(IMAGES, SEEDS, SHARES) if ' '.join(map(str, cell)) not in cells
    ]
    for cell in todo:
        cells[' '.join(map(str, cell))] = simulate(*cell)
        out.write_text(json.dumps(cells, indent=1))
        print(f'{len(cells)} of {len(IMAGES) * len(SEEDS) * len(SHARES)} cells', flush=True)


def table(cells: dict) -> None:
    """False positives over the nominal level: by quadrature, and as counted with IMAGES."""
    for name, rule in RULES.items():
        print(f'\n{name}\n')
        print('| seeds | share of runs |' + ''.join(f' p < {level:g} |' for level in LEVELS))
        print('|---|---|' + '---|' * len(LEVELS))
        for seeds, share in product(SEEDS, SHARES):
            counted = [cells[key] for n in IMAGES if (key := f'{n} {seeds} {share}') in cells]
            texts = []
            for level in LEVELS:
                shares = [cell['counts'][name][str(level)] / cell['pairs'] for cell in counted]
                text = ', '.join(f'{each / level:.2f}' for each in shares)
                texts.append(f'{rejected(rule, seeds, share, level) / level:.2f} ({text})')
            print(f'| {seeds} | {share:g} | ' + ' | '.join(texts) + ' |')
    print('\nDifference in standard errors that p < 0.001 needs\n')
    print('| seeds |' + ''.join(f' share {share:g} |' for share in SHARES))
    print('|---|' + '---|' * len(SHARES))
    for seeds in SEEDS:
        needs = [np.sqrt(banerjee(share, 1 - share, seeds - 1, MANY, 1e-3)) for share in SHARES]
        print(f'| {seeds} |' + ''.join(f' {need:.1f} |' for need in needs))


if __name__ == '__main__':
    if sys.argv[1] == 'simulate':
        run(Path(sys.argv[2]))
    else:
        table(json.loads(Path(sys.argv[2]).read_text()) if sys.argv[1] == 'table' else {})
