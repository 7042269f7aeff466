"""The arithmetic of comparisons: intervals, paired tests, calibration.

Scores are (S, N) arrays, one row a seed and one column a test image, 1 where the prediction is
right. ``groups`` is an (N,) array of any labels; images with the same label (frames of one video,
say) are resampled and permuted together, since they are not independent.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, log_loss
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

RESAMPLES = 9999
BINS = 15


def mean_and_sd(scores: ArrayLike) -> tuple[float, float]:
    """Mean over seeds of the accuracy, and its sample standard deviation (nan for one seed)."""
    accuracies = np.asarray(scores, float).mean(axis=1)
    return float(accuracies.mean()), spread(accuracies)


def spread(values: ArrayLike) -> float:
    """Sample standard deviation; nan for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float('nan')


def group_sums(scores: ArrayLike, groups: ArrayLike) -> NDArray:
    """Sums over each group's images: (S, N) scores -> (S, G)."""
    _, index = np.unique(groups, return_inverse=True)
    return np.stack([np.bincount(index, weights=row) for row in np.atleast_2d(scores)])


def interval(
    groups: ArrayLike, *scores: ArrayLike, level: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile bootstrap interval of an accuracy, or of the difference of two.

    Groups are drawn with replacement, together for both methods, and seeds with replacement for
    each method by itself (a single seed stays). With few seeds or groups it is too narrow, like
    any bootstrap: below about 10 seeds, read it as a lower bound of the uncertainty.

    Args:
        groups: (N,) labels.
        *scores: (S, N) scores of a method, and optionally those of one to subtract.
    """
    sums = [group_sums(s, groups) for s in scores]
    sizes = group_sums(np.ones(len(groups)), groups)[0]
    seeded = [i for i, s in enumerate(sums) if len(s) > 1]

    def statistic(drawn, *seeds, axis=-1):
        means = [s.mean(axis=0)[drawn] for s in sums]
        for i, rows in zip(seeded, seeds, strict=True):
            means[i] = sums[i][rows[..., :, None], drawn[..., None, :]].mean(axis=-2)
        difference = means[0] - means[1] if len(means) > 1 else means[0]
        return difference.sum(axis=-1) / sizes[drawn].sum(axis=-1)

    samples = (np.arange(len(sizes)), *(np.arange(len(sums[i])) for i in seeded))
    if len(sizes) < 2:
        return float('nan'), float('nan')
    result = stats.bootstrap(
        samples,
        statistic,
        n_resamples=resamples,
        batch=100,
        vectorized=True,
        axis=-1,
        confidence_level=level,
        method='percentile',
        rng=np.random.default_rng(0),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def sign_flip_test(
    scores: ArrayLike, baseline: ArrayLike, groups: ArrayLike, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Difference in accuracy, and the two-sided p-value of a paired permutation test.

    Scores are averaged over seeds, then summed over each group; under the null hypothesis the
    two methods could be exchanged within any group, which flips the sign of its difference. Exact
    where 2^G <= ``resamples`` for G groups that differ, Monte Carlo otherwise.
    """
    ours, theirs = (
        group_sums(np.mean(np.atleast_2d(s), axis=0), groups)[0] for s in (scores, baseline)
    )
    difference = float((ours - theirs).sum() / len(groups))
    differ = ~np.isclose(ours, theirs)  # the others' flips change nothing
    if not differ.any():
        return 0.0, 1.0
    if differ.sum() == 1:
        return difference, 1.0  # both of the two flips are as extreme
    result = stats.permutation_test(
        (ours[differ], theirs[differ]),
        lambda x, y, axis: np.abs((x - y).sum(axis=axis)),
        permutation_type='samples',
        vectorized=True,
        n_resamples=resamples,
        batch=1000,
        alternative='greater',
        rng=np.random.default_rng(0),
    )
    return difference, float(result.pvalue)


def mcnemar_test(correct: ArrayLike, baseline: ArrayLike) -> float:
    """Exact McNemar p-value of two single runs, (N,) bool each; images count as independent."""
    ours, theirs = np.asarray(correct, bool), np.asarray(baseline, bool)
    table = [
        [(ours & theirs).sum(), (ours & ~theirs).sum()],
        [(~ours & theirs).sum(), (~ours & ~theirs).sum()],
    ]
    return float(mcnemar(table, exact=True).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p-values for several comparisons."""
    return multipletests(p_values, method='holm')[1].tolist() if len(p_values) else []


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


def smallest_difference(
    images: int,
    discordance: float,
    design_effect: float = 1.0,
    power: float = 0.8,
    level: float = 0.05,
) -> float:
    """The smallest true difference in accuracy that a paired test shows with the given power.

    Solves n = (z_{1-level/2} sqrt(psi) + z_power sqrt(psi - d^2))^2 / d^2 for d, with psi the
    discordance and n = images / design_effect (Connor, Biometrics 43:207-211, 1987; for 654 images
    at 4 % it gives 2.2 points). Methods that differ by d disagree on at least a share d of the
    images, so psi is raised to d where it is less. nan where no difference can be shown.
    """
    n = images / design_effect
    alpha, beta = stats.norm.ppf(1 - level / 2), stats.norm.ppf(power)

    def surplus(d: float) -> float:
        psi = max(discordance, d)
        return n * d**2 - (alpha * np.sqrt(psi) + beta * np.sqrt(psi - d**2)) ** 2

    if surplus(1.0) < 0:
        return float('nan')
    return float(optimize.brentq(surplus, 1e-9, 1.0))


def macro_recall(label: ArrayLike, probs: ArrayLike) -> float:
    """Recall averaged over the classes that occur."""
    return float(balanced_accuracy_score(label, np.argmax(probs, axis=1)))


def nll(label: ArrayLike, probs: ArrayLike) -> float:
    """Mean negative log-likelihood of the labels, in nats; probabilities are (N, N_c)."""
    probs = np.asarray(probs, float)
    probs = probs / probs.sum(axis=1, keepdims=True)  # float32 sums are not exactly 1
    return float(log_loss(label, probs, labels=np.arange(probs.shape[1])))


def reliability(label: ArrayLike, probs: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    """Accuracy, mean confidence and number of images of each of 15 equal bins that is not empty."""
    probs = np.asarray(probs, float)
    confidence = probs.max(axis=1).clip(0, 1)
    correct = probs.argmax(axis=1) == label
    accuracy, mean = calibration_curve(correct.astype(int), confidence, n_bins=BINS, pos_label=1)
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
    counts = np.bincount(bins)
    return accuracy, mean, counts[counts > 0]


def expected_calibration_error(label: ArrayLike, probs: ArrayLike) -> float:
    """ECE over 15 equal bins of confidence (Guo et al., ICML 2017, eq. 3)."""
    accuracy, confidence, counts = reliability(label, probs)
    return float(np.average(np.abs(accuracy - confidence), weights=counts))
