"""What a test set and a few seeds allow to conclude: intervals, paired tests, detectable gains.

Scores are (S, N) arrays, one row a run (seed) and one column a test image, 1 where the prediction
is right; a deterministic method has one row. ``groups`` is an (N,) array of any labels: images with
the same label (frames of one video, say) are not independent and stay together.

Two things make a mean accuracy uncertain, the runs and the test images. Their variances are
estimated as in studies of several readers and cases, by a two-way layout of runs and groups
(Obuchowski and Rockette, Commun. Stat. Simul. Comput. 24:285-308, 1995; Hillis, Stat. Med.
26:596-619, 2007). Two methods with equally many runs are compared run by run, which is right
whether or not runs of one seed start from the same weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

RESAMPLES = 9999
SMALLEST_LOG_P = -230.0  # p = 1e-100
MIN_SEEDS = 3  # the spread between two runs says next to nothing about that of all runs


def group_sums(scores: ArrayLike, groups: ArrayLike) -> NDArray:
    """Sums over each group's images: (S, N) scores -> (S, G)."""
    _, index = np.unique(groups, return_inverse=True)
    return np.stack([np.bincount(index, weights=row) for row in np.atleast_2d(scores)])


@dataclass(frozen=True)
class Uncertainty:
    """How uncertain a mean over runs and images is.

    Args:
        runs: (squared standard error, degrees of freedom) of the runs; two such parts where two
            methods have different numbers of runs, none for single runs.
        images: The same of the groups of images.
        noise: How much of ``runs`` is chance in single images, not a shift of a whole run.
    """

    runs: tuple[tuple[float, int], ...]
    images: tuple[float, int]
    noise: float

    def half_width(self, log_p: float) -> float:
        """Half of the interval that misses the truth with a probability of at most exp(log_p).

        The root of the sum of t^2 V over the parts, V a part's squared standard error and t its
        own quantile of Student's distribution. For normal parts this holds at every level and for
        any shares of the parts (Banerjee, Sankhya 22, 1960). A single t with Welch's or another
        mean of the degrees of freedom does not hold at small p: see ``docs/statistics.md``.
        """
        parts = [(v, df) for v, df in (*self.runs, self.images) if v > 0]
        return float(np.sqrt(sum(stats.t.isf(np.exp(log_p) / 2, df) ** 2 * v for v, df in parts)))

    def p_value(self, difference: float) -> float:
        """Two-sided p-value: of the interval around ``difference`` (not 0) that ends at 0."""

        def surplus(log_p: float) -> float:
            return self.half_width(log_p) - abs(difference)

        if surplus(SMALLEST_LOG_P) < 0:
            return float(np.exp(SMALLEST_LOG_P))
        return float(np.exp(optimize.brentq(surplus, SMALLEST_LOG_P, 0)))


def uncertainty(
    groups: ArrayLike, scores: ArrayLike, baseline: ArrayLike | None = None
) -> Uncertainty:
    """Uncertainty of an accuracy, or of the difference to a baseline, (S, N) and (S', N) scores."""
    parts = [np.atleast_2d(np.asarray(scores, float))]
    if baseline is not None:
        other = np.atleast_2d(np.asarray(baseline, float))
        rows = {len(parts[0]), len(other)}
        parts = [parts[0] - other] if len(rows) == 1 or 1 in rows else [parts[0], -other]
    layouts = [_layout(groups, part) for part in parts]
    noise = sum(layout[2] for layout in layouts)
    effects = np.sum([layout[1] for layout in layouts], axis=0)
    count = len(effects)
    images = (effects**2).sum() / (count * max(count - 1, 1)) - noise
    return Uncertainty(
        runs=tuple(
            (layout[0], len(part) - 1)
            for layout, part in zip(layouts, parts, strict=True)
            if len(part) > 1
        ),
        images=(float(max(images, 0)), max(count - 1, 1)),
        noise=float(noise),
    )


def _layout(groups: ArrayLike, scores: NDArray) -> tuple[float, NDArray, float]:
    """Variance of the mean over runs, each group's effect (G,), variance of their noise."""
    sums = group_sums(np.vstack([scores, np.ones(scores.shape[1])]), groups)
    runs, count = len(scores), sums.shape[1]
    sums = sums * count / scores.shape[1]
    sums, sizes = sums[:-1], sums[-1]
    means = sums.mean(axis=1)
    effects = sums.mean(axis=0) - means.mean() * sizes
    if runs == 1:
        return 0.0, effects, 0.0
    residuals = sums - means[:, None] * sizes - effects
    noise = (residuals**2).sum() / ((runs - 1) * max(count - 1, 1) * runs * count)
    between = means.var(ddof=1)
    if (scores != scores[0]).any():  # accuracies are multiples of 1 / N, and so agree by chance
        between = max(between, 1 / (12 * scores.shape[1] ** 2))
    return float(between) / runs, effects, float(noise)


def interval(
    groups: ArrayLike, scores: ArrayLike, baseline: ArrayLike | None = None, level: float = 0.95
) -> tuple[float, float]:
    """Interval of an accuracy, or of the difference to a baseline, see :class:`Uncertainty`.

    With one run it is that of this run on further images. nan for a single group.
    """
    if len(np.unique(groups)) < 2:
        return float('nan'), float('nan')
    known = uncertainty(groups, scores, baseline)
    middle = mean_difference(scores, baseline)
    half = known.half_width(np.log1p(-level))
    lowest = 0 if baseline is None else -1
    return float(max(middle - half, lowest)), float(min(middle + half, 1))


def mean_difference(scores: ArrayLike, baseline: ArrayLike | None = None) -> float:
    """The accuracy, or the difference to a baseline; exactly 0 where the counts agree."""
    ours = np.atleast_2d(scores)
    if baseline is None:
        return float(ours.mean())
    theirs = np.atleast_2d(baseline)
    counts = ours.sum() * len(theirs) - theirs.sum() * len(ours)
    return float(counts / (len(ours) * len(theirs) * ours.shape[1]))


def paired_test(scores: ArrayLike, baseline: ArrayLike, groups: ArrayLike) -> float:
    """Two-sided p-value of equal accuracies, over further runs and further images.

    The smallest level at which :func:`interval` leaves out 0; with one run each, which is right
    for deterministic methods, :func:`sign_flip_test`. 1 for a single group.
    """
    runs = max(len(np.atleast_2d(scores)), len(np.atleast_2d(baseline)))
    difference = mean_difference(scores, baseline)
    known = uncertainty(groups, scores, baseline)
    if difference == 0 or len(np.unique(groups)) < 2:
        return 1.0
    if runs == 1 or known.half_width(-1) == 0:
        return sign_flip_test(scores, baseline, groups)
    return known.p_value(difference)


def sign_flip_test(
    scores: ArrayLike, baseline: ArrayLike, groups: ArrayLike, resamples: int = RESAMPLES
) -> float:
    """Two-sided p-value of equal accuracies of the trained models at hand, over further images.

    Scores are summed over runs and over each group; if the models are equally good, they could be
    exchanged within any group, which flips the sign of its difference. Exact where 2^G <=
    ``resamples`` for G groups that differ, Monte Carlo otherwise. Other runs may differ otherwise.
    """
    ours, theirs = np.atleast_2d(scores), np.atleast_2d(baseline)
    sums = group_sums([ours.sum(0) * len(theirs), theirs.sum(0) * len(ours)], groups)
    differ = sums[0] != sums[1]  # counts, so exact; the others' flips change nothing
    if differ.sum() < 2:
        return 1.0  # both of the two flips are as extreme
    result = stats.permutation_test(
        tuple(sums[:, differ]),
        lambda x, y, axis: np.abs((x - y).sum(axis=axis)),
        permutation_type='samples',
        vectorized=True,
        n_resamples=resamples,
        batch=1000,
        alternative='greater',
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def mcnemar_test(correct: ArrayLike, baseline: ArrayLike) -> float:
    """Exact McNemar p-value of two single runs, (N,) bool each; images count as independent."""
    ours, theirs = np.asarray(correct, bool), np.asarray(baseline, bool)
    won, lost = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    return float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p-values for several comparisons."""
    p = np.asarray(p_values, float)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return adjusted.tolist()


def smallest_difference(
    images: int,
    discordance: float,
    design_effect: float = 1.0,
    known: Uncertainty | None = None,
    power: float = 0.8,
    level: float = 0.05,
) -> float:
    """The smallest true difference in accuracy that a paired test shows with the given power.

    Solves d = h + z_power sqrt((psi - d^2) / n + v) for d, with psi the discordance, n = images /
    design_effect, v the variance of whole runs, and h the half interval of an Uncertainty with
    these variances; without ``known``, h = z_{1-level/2} sqrt(psi / n) (Connor, Biometrics
    43:207-211, 1987; for 654 images at 4 % it gives 2.2 points). Methods that differ by d disagree
    on at least a share d of the images, so psi is raised to d where it is less. nan where no
    difference can be shown.
    """
    n = images / design_effect
    known = known or Uncertainty((), (0.0, 10**9), 0.0)
    shifts = max(sum(v for v, _ in known.runs) - known.noise, 0)

    def surplus(d: float) -> float:
        psi = max(discordance, d)
        images = max(psi / n - known.noise, 0), known.images[1]
        half = replace(known, images=images).half_width(np.log(level))
        return d - half - stats.norm.ppf(power) * np.sqrt((psi - d**2) / n + shifts)

    if surplus(1.0) < 0:
        return float('nan')
    return float(optimize.brentq(surplus, 1e-9, 1.0))


def paired_spread(scores: ArrayLike, baseline: ArrayLike, groups: ArrayLike) -> tuple[float, float]:
    """How much two methods disagree: discordance, and the design effect of the groups.

    The discordance is the mean squared difference of seed-averaged scores; for single runs, the
    share of images that one method alone gets right. The design effect is by how much grouping
    multiplies the variance of the mean difference (Kish, 1965), at least 1.
    """
    difference = np.mean(np.atleast_2d(scores), axis=0) - np.mean(np.atleast_2d(baseline), axis=0)
    centred = difference - difference.mean()
    alone = (centred**2).sum()
    grouped = (group_sums(centred, groups) ** 2).sum()
    effect = grouped / alone if alone > 0 else 1.0
    return float((difference**2).mean()), max(1.0, float(effect))
