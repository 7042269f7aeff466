"""Runs -> methods -> one row of figures for each, against a baseline."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import inference, stats
from .results import Predictions, load_predictions, load_run

ALIGNED = ('label', 'group')


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, ``run.json`` and predictions sorted by image.

    Args:
        tuning: 'default', 'tuned' or 'default = tuned' where a sweep made the run, else ''.
    """

    folder: Path
    record: dict
    predictions: Predictions
    tuning: str = ''
    options: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The method's name, with what sets the run apart from the method's default."""
        if self.tuning == 'tuned':
            return f'{self.record["method"]} (tuned)'
        if self.tuning or not self.options:
            return self.record['method']
        settings = ', '.join(f'{k.rpartition(".")[2]}={v}' for k, v in self.options.items())
        return f'{self.record["method"]} [{settings}]'


@dataclass(frozen=True)
class Method:
    """The runs of one method, by seed."""

    name: str
    runs: list[Run]

    @property
    def first(self) -> Run:
        """The run that stands for all where they agree."""
        return self.runs[0]

    @property
    def seeds(self) -> list[Any]:
        """The seeds of the runs, in their order."""
        return [run.record['seed'] for run in self.runs]

    @cached_property
    def scores(self) -> NDArray:
        """(S, N) of 0 and 1."""
        return np.stack([run.predictions.correct for run in self.runs]).astype(float)

    @property
    def deterministic(self) -> bool:
        """Whether further runs would predict the same, as far as these tell."""
        fitted = self.first.record.get('trained_parameters') == 0
        return fitted and bool((self.scores == self.scores[0]).all())

    @property
    def independent_scores(self) -> NDArray:
        """The scores of runs that could differ: (S, N), or (1, N) of a deterministic method."""
        return self.scores[:1] if self.deterministic else self.scores

    def mean_over_seeds(self, figure) -> float:
        """Mean of ``figure(label, probs)`` over the runs."""
        each = [figure(r.predictions.label, r.predictions.probs) for r in self.runs]
        return float(np.mean(each))


def load_methods(folders: Sequence[str | Path], split: str = 'test') -> list[Method]:
    """Read runs from work folders and sweep folders, grouped by method in the given order.

    Raises:
        InputError: unfinished runs, two runs of one method and seed, or different test images.
    """
    runs = [run for folder in folders for run in read_folder(Path(folder), split)]
    if not runs:
        raise InputError('no runs to compare')
    check_same_images(runs)
    methods: dict[str, list[Run]] = {}
    for run in runs:
        others = methods.setdefault(run.name, [])
        same = next((o for o in others if o.record['seed'] == run.record['seed']), None)
        if same:
            raise InputError(
                f'{same.folder} and {run.folder} are both {run.name!r} with seed '
                f'{run.record["seed"]}; leave one out, or give one another `method` in its config'
            )
        others.append(run)
    return [
        Method(name, sorted(each, key=lambda r: str(r.record['seed']).zfill(9)))
        for name, each in methods.items()
    ]


def read_folder(folder: Path, split: str) -> list[Run]:
    """The run of a work folder, or the final runs that a sweep's ``sweep.json`` lists."""
    if not (folder / 'sweep.json').is_file():
        return [read_run(folder, split)]
    entries = json.loads((folder / 'sweep.json').read_bytes())['runs']
    return [
        read_run(folder / e['folder'], split, tuning=e['tuning'], options=e['options'])
        for e in entries
    ]


def read_run(folder: Path, split: str, **sweep: Any) -> Run:
    """A finished run with the predictions of a split; others raise InputError."""
    record = load_run(folder)
    if not record['finished']:
        epochs = record['epochs']
        raise InputError(
            f'{folder} is not finished (its last epoch is {epochs[-1]["epoch"] if epochs else 0}); '
            'continue it with tools/train.py --resume, or leave it out'
        )
    p = load_predictions(folder, split)
    order = np.argsort(p.rel_path)
    p = Predictions(p.rel_path[order], p.label[order], p.group[order], p.probs[order], split)
    return Run(folder, record, p, **sweep)


def check_same_images(runs: Sequence[Run]) -> None:
    """Raise InputError, naming the difference, unless all runs saw the same labelled images."""
    first = runs[0]
    for run in runs[1:]:
        ours, theirs = first.predictions, run.predictions
        pair = f'{first.folder} and {run.folder} cannot be compared: '
        for a, b, here in ((ours, theirs, first), (theirs, ours, run)):
            extra = np.setdiff1d(a.rel_path, b.rel_path)
            if len(extra):
                raise InputError(
                    f'{pair}{len(extra)} test images are in {here.folder} only, '
                    f'{str(extra[0])!r} among them'
                )
        if ours.probs.shape[1] != theirs.probs.shape[1]:
            raise InputError(
                f'{pair}they have {ours.probs.shape[1]} and {theirs.probs.shape[1]} classes'
            )
        for name in ALIGNED:
            a, b = getattr(ours, name), getattr(theirs, name)
            if (a != b).any():
                i = int((a != b).argmax())
                raise InputError(
                    f'{pair}the {name} of {str(ours.rel_path[i])!r} is {a[i]} in one, {b[i]} in '
                    f'the other ({int((a != b).sum())} such images)'
                )
        classes = {tuple(each.record.get('classes') or ()) for each in (first, run)} - {()}
        if len(classes) > 1:
            raise InputError(f'{pair}their classes are named or ordered differently')


def find_method(methods: Sequence[Method], name: str) -> Method:
    """The method of a name; InputError lists those that there are."""
    for method in methods:
        if method.name == name:
            return method
    names = ', '.join(m.name for m in methods)
    raise InputError(f'--baseline {name!r} is not among the methods: {names}')


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
