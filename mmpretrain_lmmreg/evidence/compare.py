"""Methods -> one row of figures for each, against a baseline."""

import json
from collections.abc import Sequence

import numpy as np

from . import inference, stats
from .runs import Method, find_method


def compare(methods: Sequence[Method], baseline: str) -> dict:
    """All figures of a comparison, JSON-able; nan is None.

    Where a sweep has tuned the baseline, what is tuned, or has nothing to tune, is compared with
    the tuned baseline, and default settings with the default one.

    Returns:
        ``images``, ``groups``, ``classes``, ``baseline`` and ``rows``, the baselines' first. A
        row's ``baseline`` is what it is compared with, None for a baseline; its accuracies,
        differences, ``detectable``, ``macro_recall`` and ``ece`` are shares of 1, ``nll`` is in
        nats, ``train_seconds`` a mean over seeds, ``mcnemar_p`` by seed; ``p`` is None where a
        trained method has fewer than three seeds.
    """
    base = find_method(methods, baseline)
    pairs = with_baselines(methods, base)
    rows = [
        {**describe(m), **(against(m, b) if b else {}), 'baseline': b.name if b else None}
        for m, b in pairs
    ]
    tested = [row for row in rows if row['p'] is not None]
    for row, p_holm in zip(tested, inference.holm([r['p'] for r in tested]), strict=True):
        row['p_holm'] = p_holm
    p = base.first.predictions
    summary = dict(
        images=len(p.label),
        groups=len(np.unique(p.group)),
        classes=p.probs.shape[1],
        baseline=baseline,
        rows=rows,
    )
    return json.loads(json.dumps(summary), parse_constant=lambda _: None)


def describe(method: Method) -> dict:
    """A method's own figures."""
    mean, sd = stats.mean_and_sd(method.scores)
    low, high = inference.interval(method.first.predictions.group, method.independent_scores)
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
        difference=None,
        difference_low=None,
        difference_high=None,
        p=None,
        p_runs=None,
        p_holm=None,
        mcnemar_p={},
        detectable=None,
        macro_recall=method.mean_over_seeds(stats.macro_recall),
        nll=method.mean_over_seeds(stats.nll),
        ece=method.mean_over_seeds(stats.expected_calibration_error),
        trained_parameters=records[0].get('trained_parameters'),
        train_seconds=float(np.mean(seconds)) if seconds else None,
    )


def with_baselines(methods: Sequence[Method], base: Method) -> list[tuple[Method, Method | None]]:
    """Each method with what it is compared with: baselines, with None, first."""
    names = {m.name for m in methods}
    tuned = next((m for m in methods if m.name == f'{base.name} (tuned)'), None)
    baselines = [base, tuned] if tuned else [base]
    result: list[tuple[Method, Method | None]] = [(m, None) for m in baselines]
    for method in methods:
        if method not in baselines:
            default = method.first.tuning == 'default' and f'{method.name} (tuned)' in names
            result.append((method, base if default or not tuned else tuned))
    return result


def against(method: Method, base: Method) -> dict:
    """A method's figures relative to the baseline's."""
    groups = base.first.predictions.group
    pair = method.independent_scores, base.independent_scores
    low, high = inference.interval(groups, *pair)
    spread = inference.paired_spread(*pair, groups)
    known = inference.uncertainty(groups, *pair)
    enough = all(m.deterministic or len(m.runs) >= inference.MIN_SEEDS for m in (method, base))
    return dict(
        difference=inference.mean_difference(*pair),
        difference_low=low,
        difference_high=high,
        p=inference.paired_test(*pair, groups) if enough else None,
        p_runs=inference.sign_flip_test(*pair, groups),
        mcnemar_p=mcnemar_by_seed(method, base),
        detectable=inference.smallest_difference(len(groups), *spread, known),
    )


def mcnemar_by_seed(method: Method, base: Method) -> dict[str, float]:
    """Exact p-values of the runs that share a seed; a baseline of one run is everyone's pair."""
    result = {}
    for seed, scores in zip(method.seeds, method.scores, strict=True):
        if seed in base.seeds or len(base.runs) == 1:
            pair = base.scores[base.seeds.index(seed) if seed in base.seeds else 0]
            result[str(seed)] = inference.mcnemar_test(scores, pair)
    return result
