"""Finished runs, read and put together as methods."""

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
    path = folder / 'sweep.json'
    try:
        entries = [(e['folder'], e['tuning'], e['options']) for e in read_sealed(path)['runs']]
    except (InputError, LookupError, TypeError) as error:
        raise InputError(
            f'{path} is damaged; the command of the sweep writes it again, without training'
        ) from error
    return [
        read_run(folder / name, split, tuning=tuning, options=options)
        for name, tuning, options in entries
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
