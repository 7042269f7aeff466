"""Methods -> one row of figures for each, against a baseline."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..io.files import finite
from . import inference, stats
from .runs import SAME, TUNED, Method, find_method, load_methods

BASELINE = 'finetune'


def compare(
    folders: Sequence[str | Path], baseline: str = BASELINE, split: str = 'test'
) -> pd.DataFrame:
    """Compare finished runs that were tested on the same images.

    Args:
        folders: Work folders of runs, or folders of sweeps.
        baseline: The method that others are compared with.
        split: The tested split.

    Returns:
        One row a method, best first; the columns are those of :func:`comparison_of`'s rows.

    Raises:
        InputError: Folders without finished runs, runs with other test images, runs of one method
            that do not belong together, or no method of the baseline's name.

    Example:
        >>> from mmpretrain_lmmreg import compare
        >>> table = compare(['work_dirs/sweep'], baseline='finetune')  # doctest: +SKIP
        >>> table[['method', 'accuracy', 'difference', 'p_holm']]  # doctest: +SKIP
    """
    return pd.DataFrame(comparison_of(load_methods(folders, split), baseline)['rows'])


def comparison_of(methods: Sequence[Method], baseline: str) -> dict:
    """All figures of a comparison, JSON-able; nan is None.

    Default settings are compared with the baseline's default ones, and tuned with tuned ones. A
    method whose default was chosen by tuning is compared with both, in two rows.

    Returns:
        ``images``, ``groups``, ``classes``, ``baseline`` and ``rows``, the most accurate first. A
        row's ``baseline`` is what it is compared with, None for a baseline and where there is
        nothing like it; its accuracies, differences, ``detectable``, ``macro_recall`` and ``ece``
        are shares of 1, ``nll`` is in nats, ``train_seconds`` a mean over seeds, ``mcnemar_p`` by
        seed; ``p`` is None where a trained method has fewer than three seeds.
    """
    base = find_method(methods, baseline)
    rows = [
        {**own_figures(m), **(against(m, b) if b else {}), 'baseline': b.name if b else None}
        for m, b in with_baselines(methods, base)
    ]
    rows.sort(key=lambda row: -row['accuracy'])
    tested = [row for row in rows if row['p'] is not None]
    for row, p_holm in zip(tested, inference.holm([r['p'] for r in tested]), strict=True):
        row['p_holm'] = p_holm
    p = base.first.predictions
    counts = dict(images=len(p.label), groups=len(np.unique(p.group)), classes=p.probs.shape[1])
    return finite(dict(counts, baseline=baseline, rows=rows))


def own_figures(method: Method) -> dict:
    """A method's own figures; those of a comparison are None."""
    mean, sd = stats.mean_and_sd(method.scores)
    (scores,) = comparable(method)
    low, high = inference.interval(method.first.predictions.group, scores)
    records = [run.record for run in method.runs]
    seconds = [r['train_seconds'] for r in records if r.get('train_seconds') is not None]
    return dict(
        method=method.name,
        tuning=method.first.tuning,
        protocol=' / '.join(dict.fromkeys(str(r.get('protocol') or '') for r in records)),
        seeds=len(records),
        accuracy=mean,
        accuracy_sd=sd,
        accuracy_low=low,
        accuracy_high=high,
        **dict.fromkeys(
            ('difference', 'difference_low', 'difference_high', 'p', 'p_runs', 'p_holm')
        ),
        mcnemar_p={},
        detectable=None,
        macro_recall=method.mean_over_seeds(stats.macro_recall),
        nll=method.mean_over_seeds(stats.nll),
        ece=method.mean_over_seeds(stats.expected_calibration_error),
        trained_parameters=records[0].get('trained_parameters'),
        train_seconds=float(np.mean(seconds)) if seconds else None,
    )


def with_baselines(methods: Sequence[Method], base: Method) -> list[tuple[Method, Method | None]]:
    """Each method with what it is compared with, None for baselines and where there is nothing."""
    name = base.name.removesuffix(TUNED)
    by_name = {m.name: m for m in methods}
    default, tuned = by_name.get(name), by_name.get(name + TUNED)
    if default and default.first.tuning == SAME:
        tuned = default
    result: list[tuple[Method, Method | None]] = []
    for method in methods:
        if method is default or method is tuned:
            result.append((method, None))
        elif method.first.tuning == 'tuned':
            result.append((method, tuned))
        else:
            result.append((method, default))
            if method.first.tuning == SAME and tuned and tuned is not default:
                result.append((replace(method, name=method.name + TUNED), tuned))
    return result


def comparable(*methods: Method) -> list[NDArray]:
    """The (S, N) scores that a comparison speaks of; one row of a deterministic method.

    Where a trained method has too few seeds to speak of further ones, all are averaged over their
    seeds: what is said then is of these trained models on further images.
    """
    scores = [m.independent_scores for m in methods]
    if not all(has_enough_seeds(m) for m in methods):
        scores = [each.mean(axis=0, keepdims=True) for each in scores]
    return scores


def has_enough_seeds(method: Method) -> bool:
    """Whether the spread between a method's runs is known, or 0."""
    return method.deterministic or len(method.runs) >= inference.MIN_SEEDS


def against(method: Method, base: Method) -> dict:
    """A method's figures relative to the baseline's."""
    groups = base.first.predictions.group
    ours, theirs = comparable(method, base)
    low, high = inference.interval(groups, ours, theirs)
    known = inference.uncertainty(groups, ours, theirs)
    enough = has_enough_seeds(method) and has_enough_seeds(base)
    runs = method.independent_scores, base.independent_scores
    return dict(
        difference=inference.mean_difference(*runs),
        difference_low=low,
        difference_high=high,
        p=inference.paired_test(ours, theirs, groups) if enough else None,
        p_runs=inference.sign_flip_test(*runs, groups),
        mcnemar_p=mcnemar_by_seed(method, base),
        detectable=inference.smallest_difference(
            len(groups), *inference.paired_spread(ours, theirs, groups), known
        ),
    )


def mcnemar_by_seed(method: Method, base: Method) -> dict[str, float]:
    """Exact p-values of the runs that share a seed; a baseline of one run is everyone's pair."""
    result = {}
    for seed, scores in zip(method.seeds, method.scores, strict=True):
        if seed in base.seeds or len(base.runs) == 1:
            pair = base.scores[base.seeds.index(seed) if seed in base.seeds else 0]
            result[str(seed)] = inference.mcnemar_test(scores, pair)
    return result
