"""Configs x seeds x grid, with settings chosen on a validation split and never on test."""

import ast
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config

from ..config import load_config, method_file
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..hooks.run_folder import load_predictions, load_run
from ..io.files import save_atomic, sealed
from ..progress import Progress
from .holdout import hold_out_validation
from .processes import TrainHere, check_config, default_jobs, is_done, train_all, write_config
from .runs import SAME

Options = dict[str, Any]


class Source(NamedTuple):
    """A config file; a method's, and the config that it is put on."""

    path: str
    on: str | None = None

    def __str__(self) -> str:
        return f'{self.path} --on {self.on}' if self.on else self.path


_read = cache(load_config)


@cache
def _fingerprint(descriptions: Path) -> str | None:
    return DescriptionStore(descriptions).fingerprint if descriptions.is_file() else None


@dataclass(frozen=True)
class Sweep:
    """What is to be run.

    Args:
        configs: Config files; each is a method, by its ``method`` variable or its file name.
        seeds: Of every setting.
        grid: ``KEY=V1,V2`` for all methods or ``METHOD:KEY=V1,V2`` for one; several multiply.
        out: Folder of all runs.
        val_fraction: Share of the training images that settings are chosen on, see
            :func:`holdout.hold_out_validation`.
        options: Changes to every config.
        put_on: Methods that each of the configs is also trained with, see
            :func:`config.method_file`; a config's own, which is trained anyway, may be among them.
        jobs: Runs at a time; 0 for :func:`default_jobs`.
        seeded: Settings whose value is the seed, such as ``train_dataloader.dataset.shot_seed``:
            each seed then has training images of its own.
    """

    configs: Sequence[str]
    seeds: Sequence[int]
    grid: Sequence[str]
    out: Path
    val_fraction: float = 0.2
    options: Options | None = None
    put_on: Sequence[str] = ()
    jobs: int = 0
    seeded: Sequence[str] = ()

    def load(self, source: Source, options: Options, seed: int, select: bool = False) -> Config:
        """The config of one run."""
        cfg = deepcopy(_read(*source))
        cfg.method = cfg.get('method') or Path(source.path).stem
        cfg.merge_from_dict(self.options or {})
        for key in (*options, *self.seeded):
            place = cfg
            for part in key.split('.')[:-1]:
                place = place.get(part) if isinstance(place, (dict, Config)) else None
            if not isinstance(place, (dict, Config)):
                raise InputError(
                    f'{key}: there is no place for it in {source}; give a grid to '
                    f'other methods only, as METHOD:{key}=...',
                    code='evidence.no_such_setting',
                )
        cfg.merge_from_dict({**options, **dict.fromkeys(self.seeded, seed)})
        cfg.merge_from_dict({'default_hooks.results': dict(type='ResultsHook')})
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)
        return hold_out_validation(cfg, self.val_fraction) if select else cfg

    def methods(self) -> dict[str, Source]:
        """The config of each method."""
        sources = [Source(config) for config in self.configs]
        own = {self.load(source, {}, 0).method for source in sources}
        files = [method_file(name) for name in self.put_on if name not in own]
        sources += [Source(file, config) for config in self.configs for file in files]
        methods: dict[str, Source] = {}
        for source in sources:
            name = self.load(source, {}, 0).method
            if name in methods:
                raise InputError(
                    f'{methods[name]} and {source} are both the method {name!r}: give one another '
                    '`method` variable',
                    code='evidence.same_method',
                )
            methods[name] = source
        return methods

    def runs_of(self, trials: dict[str, list[Options]], part: str) -> list[dict[str, Any]]:
        """The runs of every method, setting and seed, with their folders below ``out/part``."""
        return [
            dict(folder=f'{part}/{name}/{slug(options)}/seed{seed}', method=name, seed=seed)
            | dict(options=options)
            for name, each in trials.items()
            for options in each
            for seed in dict.fromkeys(self.seeds)
        ]

    def plan(self, select: bool) -> tuple[dict[str, Source], dict[str, list[Options]]]:
        """The config and the settings of each method; nothing is written.

        Raises:
            InputError: Methods, grid or configs are not as they must be, or a folder holds a run
                of another config.
        """
        methods = self.methods()
        trials = {name: grid_of(name, self.grid, list(methods)) for name in methods}
        if select:
            check_budgets(trials)
        for name, each in trials.items():
            tuned = select and each != [{}]
            for run in self.runs_of({name: each}, 'select' if tuned else 'runs'):
                cfg = self.load(methods[name], run['options'], run['seed'], tuned)
                check_config(cfg, self.out / run['folder'])
        return methods, trials

    def run(self, train_here: TrainHere, select: bool) -> list[dict[str, Any]]:
        """Train what is not trained yet, and write ``sweep.json``.

        ``train_here`` trains a config into a folder on some threads, in the process that calls it.

        Returns:
            The final runs: ``folder``, ``method``, ``seed``, ``options`` and ``tuning`` of each.

        Raises:
            InputError: See :meth:`plan`; a run failed, or would use other descriptions than those
                of its method that are there.
        """
        methods, trials = self.plan(select)
        chosen = {}
        if select:
            tuned = {name: each for name, each in trials.items() if each != [{}]}
            self.train(train_here, methods, self.runs_of(tuned, 'select'), select=True)
            chosen = {name: self.choose(name, each) for name, each in tuned.items()}
            trials = {name: [{}] for name in methods}
            for name, choice in chosen.items():
                default = self.load(methods[name], {}, 0).to_dict()
                if self.load(methods[name], choice['options'], 0).to_dict() != default:
                    trials[name].append(choice['options'])
        runs = self.runs_of(trials, 'runs')
        self.train(train_here, methods, runs)
        for run in runs:
            run['tuning'] = tuning_of(run, trials[run['method']], chosen)
        summary = dict(
            configs={name: str(source) for name, source in methods.items()},
            grid=list(self.grid),
            selection=chosen,
            runs=runs,
        )
        with save_atomic(self.out / 'sweep.json') as file:
            file.write(sealed(summary))
        return runs

    def train(
        self,
        train_here: TrainHere,
        methods: dict[str, Source],
        runs: list[dict[str, Any]],
        select: bool = False,
    ) -> None:
        """Train the runs that are not finished."""
        with Progress('runs that choose settings' if select else 'runs', len(runs)) as progress:
            todo = []
            for run in runs:
                cfg = self.load(methods[run['method']], run['options'], run['seed'], select)
                folder = self.out / run['folder']
                path = write_config(cfg, folder)
                if is_done(folder):
                    progress.advance()
                else:
                    todo.append((path, folder))
            for name in {folder.parents[1].name for _, folder in todo}:
                self.check_texts(name)
            # the first one by itself, on all cores: it makes the feature table that the others
            # share. These have as many threads after a kill: the last bits depend on it
            alone = todo[:1] if len(todo) == len(runs) else []
            train_all(train_here, alone, 1, progress)
            train_all(train_here, todo[len(alone) :], self.jobs or default_jobs(), progress)

    def check_texts(self, method: str) -> None:
        """Raise InputError where runs of a method were trained with other descriptions.

        Runs that are yet to come would read those that are there now.
        """
        for path in sorted(self.out.glob(f'*/{method}/*/seed*/results/run.json')):
            record = load_run(path.parents[1])
            file, texts = record.get('descriptions'), record.get('texts')
            used = record.get('fingerprints', {}).get('descriptions_fingerprint')
            if texts and file and used != _fingerprint(Path(file)):
                raise InputError(
                    f'{path.parents[1]} was trained with {texts}, and {file} has changed since: '
                    f'the other runs of {method} would be trained with other texts. Put the file '
                    f'back as it was, remove the folders {self.out}/*/{method} to train all runs '
                    'again, or take another --out',
                    code='evidence.other_texts',
                )

    def choose(self, method: str, trials: list[Options]) -> dict:
        """The setting with the best validation accuracy after the last epoch, mean over seeds.

        Of settings that are equal in it, the one with the highest likelihood.

        Returns:
            ``options``, and ``tried``: each setting's accuracies and mean log-likelihoods by seed.
        """
        tried: list[dict[str, Any]] = []
        for options in trials:
            folder = self.out / 'select' / method / slug(options)
            runs = [folder / f'seed{seed}' for seed in self.seeds]
            each = [load_predictions(run, load_run(run)['curve_split']) for run in runs]
            of_label = [p.probs[np.arange(len(p.label)), p.label] for p in each]
            accuracy = [float(p.correct.mean()) for p in each]
            likelihood = [float(np.log(p.clip(1e-30)).mean()) for p in of_label]
            tried.append(dict(options=options, accuracy=accuracy, log_likelihood=likelihood))
        best = max(
            tried,
            key=lambda each: (np.mean(each['accuracy']).round(9), np.mean(each['log_likelihood'])),
        )
        return dict(options=best['options'], tried=tried)


def tuning_of(run: dict, trials: list[Options], chosen: dict) -> str:
    """'default', 'tuned' or 'default = tuned'; '' for a point of a grid that nothing chose."""
    if run['options']:
        return 'tuned' if chosen else ''
    return SAME if run['method'] in chosen and len(trials) == 1 else 'default'


def grid_of(method: str, grid: Sequence[str], methods: Sequence[str]) -> list[Options]:
    """All settings of a method; the default one alone where no grid is meant for it."""
    axes = {}
    for text in grid:
        key, equals, values = text.partition('=')
        name, colon, setting = key.partition(':')
        if not equals or not values or not key or (colon and name not in methods):
            raise InputError(
                f'--grid {text}: write KEY=V1,V2 or METHOD:KEY=V1,V2 with a METHOD '
                f'among {", ".join(methods)}',
                code='evidence.bad_grid',
            )
        if not colon or name == method:
            found = map(literal, values.split(','))
            axes[setting or key] = list({str(value): value for value in found}.values())
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def literal(text: str) -> object:
    """A number, True, None... as such; anything else as text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def slug(options: Options) -> str:
    """Folder name of a setting."""
    text = ','.join(f'{key}={value}' for key, value in options.items())
    return text.replace('/', '_') or 'default'


def check_budgets(trials: dict[str, list[Options]]) -> None:
    """Raise InputError unless all methods with a grid have equally many settings."""
    counts = {name: len(each) for name, each in trials.items() if each != [{}]}
    if not counts:
        raise InputError(
            '--select val has nothing to choose from: give a --grid',
            code='evidence.nothing_to_choose',
        )
    if len(set(counts.values())) > 1:
        text = ', '.join(f'{name} {count}' for name, count in counts.items())
        raise InputError(
            f'the methods have different budgets, in settings: {text}; give each a '
            'grid of the same size',
            code='evidence.other_budgets',
        )
