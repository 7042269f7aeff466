"""Finished runs, read and put together as methods."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..hooks.run_folder import Predictions, load_predictions, load_run
from ..io.files import read_sealed

TUNED = ' (tuned)'  # how a tuned method's name ends
SAME = 'default = tuned'
SWEEP = dict(runs=[dict(folder=str, tuning=str, options=dict)])  # what is read of sweep.json
# settings that say where and how fast a run is made, not what it makes
BOOKKEEPING = {
    'cache',
    'data_root',
    'experiment_name',
    'launcher',
    'log_level',
    'num_workers',
    'persistent_workers',
    'resume',
    'work_dir',
}


@dataclass(frozen=True)
class FinishedRun:
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
        """See :func:`run_name`."""
        return run_name(self.record['method'], self.tuning, self.options)


def run_name(method: str, tuning: str, options: dict) -> str:
    """The method's name, with what sets a run apart from the method's default."""
    if tuning == 'tuned':
        return method + TUNED
    if tuning or not options:
        return method
    settings = ', '.join(f'{k.rpartition(".")[2]}={v}' for k, v in options.items())
    return f'{method} [{settings}]'


@dataclass(frozen=True)
class Method:
    """The runs of one method, by seed."""

    name: str
    runs: list[FinishedRun]

    @property
    def first(self) -> FinishedRun:
        """The run that stands for all where they agree."""
        return self.runs[0]

    @property
    def seeds(self) -> list[Any]:
        """The seeds of the runs, in their order."""
        return [run.record['seed'] for run in self.runs]

    @property
    def classes(self) -> list[str]:
        """Names of the classes, or their numbers."""
        count = self.first.predictions.probs.shape[1]
        return self.first.record.get('classes') or [str(i) for i in range(count)]

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
        InputError: Unfinished runs, two runs of one method and seed, different test images, or
            runs of one method that differ in more than their seed.
    """
    runs = [run for folder in folders for run in read_folder(Path(folder), split)]
    if not runs:
        raise InputError('there are no runs to compare', code='evidence.no_runs')
    check_same_images(runs)
    by_name: dict[str, list[FinishedRun]] = defaultdict(list)
    for run in runs:
        by_name[run.name].append(run)
    for name, each in by_name.items():
        check_same_method(name, each)
    return [
        Method(name, sorted(each, key=lambda r: str(r.record['seed']).zfill(9)))
        for name, each in by_name.items()
    ]


def read_folder(folder: Path, split: str) -> list[FinishedRun]:
    """The run of a work folder, or the final runs that a sweep's ``sweep.json`` lists."""
    file = folder / 'sweep.json'
    if not file.is_file():
        if (folder / 'runs').is_dir() or (folder / 'select').is_dir():
            raise InputError(
                f'{folder} is a sweep that is not finished; the command of the sweep continues it',
                code='evidence.unfinished',
            )
        return [read_run(folder, split)]
    try:
        entries = read_sealed(file, SWEEP)['runs']
    except InputError as error:
        raise InputError(
            f'{error}; the command of the sweep writes it again, without training',
            code='evidence.bad_sweep',
        ) from None
    return [read_run(folder / e['folder'], split, e['tuning'], e['options']) for e in entries]


def read_run(
    folder: Path, split: str, tuning: str = '', options: dict | None = None
) -> FinishedRun:
    """A finished run with the predictions of a split; others raise InputError."""
    record = load_run(folder)
    classes = record.get('classes')
    if not record['finished']:
        epochs = record['epochs']
        raise InputError(
            f'{folder} is not finished (its last epoch is {epochs[-1]["epoch"] if epochs else 0}); '
            'continue it with train.py --resume, or leave it out',
            code='evidence.unfinished',
        )
    p = load_predictions(folder, split)
    if classes and len(classes) != p.probs.shape[1]:
        raise InputError(
            f'{folder}: run.json names {len(classes)} classes, the predictions have '
            f'{p.probs.shape[1]}; train this run again',
            code='evidence.other_classes',
        )
    order = np.argsort(p.rel_path)
    p = Predictions(p.rel_path[order], p.label[order], p.group[order], p.probs[order], split)
    return FinishedRun(folder, record, p, tuning, options or {})


def check_same_images(runs: Sequence[FinishedRun]) -> None:
    """Raise InputError, naming the difference, unless all runs saw the same labelled images."""
    for run in runs[1:]:
        pair = f'{runs[0].folder} and {run.folder} cannot be compared: '
        if what := _other_images(runs[0], run):
            raise InputError(pair + what, code='evidence.other_images')
        counts = {each.predictions.probs.shape[1] for each in (runs[0], run)}
        names = {tuple(each.record.get('classes') or ()) for each in (runs[0], run)} - {()}
        if len(counts) > 1 or len(names) > 1:
            what = 'their classes differ in number, name or order'
            raise InputError(pair + what, code='evidence.other_classes')


def _other_images(first: FinishedRun, run: FinishedRun) -> str:
    """In which image two runs differ first, or in its label or group; '' without any."""
    ours, theirs = first.predictions, run.predictions
    for a, b, here in ((ours, theirs, first), (theirs, ours, run)):
        if len(extra := np.setdiff1d(a.rel_path, b.rel_path)):
            few = f'{len(extra)} test images are in {here.folder} only'
            return f'{few}, {str(extra[0])!r} among them'
    for name in ('label', 'group'):
        a, b = getattr(ours, name), getattr(theirs, name)
        if (a != b).any():
            i = int((a != b).argmax())
            return (
                f'the {name} of {str(ours.rel_path[i])!r} is {a[i]} in one, {b[i]} in the other '
                f'({int((a != b).sum())} such images)'
            )
    return ''


def check_same_method(name: str, runs: Sequence[FinishedRun]) -> None:
    """Raise InputError, naming seeds and what differs, unless runs differ in their seed alone."""
    seeds = [run.record['seed'] for run in runs]
    for i, run in enumerate(runs):
        if seeds[i] in seeds[:i]:
            other = runs[seeds.index(seeds[i])]
            raise InputError(
                f'{other.folder} and {run.folder} are both {name!r} with seed {seeds[i]}; leave '
                'one out, or give one another `method` in its config',
                code='evidence.same_seed',
            )
    for what, values in made_from(runs).items():
        by_value: dict[str, list[str]] = defaultdict(list)
        for seed, value in zip(seeds, values, strict=True):
            by_value[str(value)].append(str(seed))
        if len(by_value) > 1:
            parts = [f'{v:.80} with seed {", ".join(s)}' for v, s in by_value.items()]
            raise InputError(
                f'the runs of {name!r} are not of one method, their {what} differ: '
                f'{"; ".join(parts)}. Train the different ones again in a new folder, or leave '
                'them out',
                code='evidence.mixed_runs',
            )


def made_from(runs: Sequence[FinishedRun]) -> dict[str, list[Any]]:
    """What runs of one method have in common, by its name: each run's value.

    Settings that are the run's own seed in every run are left out; where those choose the training
    images, so are the images and their descriptions.
    """
    seeds = [run.record['seed'] for run in runs]
    settings = [run.record.get('settings') or {} for run in runs]
    common, drawn = {}, False
    for key in dict.fromkeys(key for each in settings for key in each):
        values = [each.get(key) for each in settings]
        if BOOKKEEPING.isdisjoint(key.split('.')) and values != seeds:
            common[f'settings ({key})'] = values
        drawn |= len(runs) > 1 and values == seeds and key.startswith('train_dataloader')
    prints = [run.record.get('fingerprints') or {} for run in runs]
    result: dict[str, list[Any]] = {'texts': [run.record.get('texts') for run in runs]}
    result |= common
    if not drawn:
        result['descriptions'] = [p.get('descriptions_fingerprint') for p in prints]
        result['training images'] = [p.get('train_fingerprint') for p in prints]
    result['weights'] = [p.get('weights_fingerprint') for p in prints]
    result['first weights'] = [p.get('start_fingerprint') for p in prints]
    result['features'] = [p.get('features_fingerprint') for p in prints]
    result['code version'] = [run.record.get('code') for run in runs]
    result['versions'] = [run.record.get('versions') for run in runs]
    return result


def find_method(methods: Sequence[Method], name: str) -> Method:
    """The method of a name; InputError lists those that there are."""
    for method in methods:
        if method.name == name:
            return method
    names = ', '.join(m.name for m in methods)
    raise InputError(
        f'the baseline {name!r} is not among the methods: {names}', code='evidence.no_baseline'
    )
