"""Regrets of ways to choose a method, and the coverage of sets of classes.

    python dev/regrets.py scores OUT
    python dev/regrets.py tables OUT
    python dev/regrets.py coverage OUT

``scores`` trains every candidate of ``mmpretrain-lmmreg fit`` on the folds of the training images
and on all of them, for each data set, number of images and seed, and keeps the logits in OUT; a
stopped run goes on. ``tables`` prints what each way to choose loses against the best candidate in
hindsight. ``coverage`` prints the share of test images whose set holds the right class, of the
average of candidates without gradient steps. Needs $BAR_ROOT and $RSSCN7_ROOT; other data sets are
left out.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS
from torch.utils.data import DataLoader

import mmpretrain_lmmreg.register  # noqa: F401
from mmpretrain_lmmreg.config import config_folder, load_config
from mmpretrain_lmmreg.datasets.splits import few_shot, hold_out
from mmpretrain_lmmreg.deploy.standalone import coverage_sets, head_logits
from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.fitting.candidates import CANDIDATES, Candidate
from mmpretrain_lmmreg.fitting.choice import SHRINKAGE, judge, log_likelihoods, rank, weigh
from mmpretrain_lmmreg.fitting.cross_validation import config_of, fold_tensors, score_folds
from mmpretrain_lmmreg.fitting.folds import Folds, make_folds
from mmpretrain_lmmreg.fitting.inputs import WholeInputs
from mmpretrain_lmmreg.fitting.training import train_subsets
from mmpretrain_lmmreg.io.files import save_atomic

SHOTS = (None, 16, 4)
COVERAGES = (0.8, 0.9, 0.95)
FURTHER_STEPS = (100, 900)  # beside those of the candidates
CHEAP = ('zero_shot', 'gda', 'logreg', 'logreg_trunk')
DEFAULT = Candidate('default', 'finetune')  # fine-tuning as its config says


class Data:
    """A data set's inputs, and the trunk's features of its training and its own test images."""

    def __init__(self, name: str, config: str, train: dict, test: dict | None) -> None:
        self.name, self.config = name, config
        cfg = load_config(config)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model = MODELS.build(cfg.model)
            model.init_weights()
            model.eval()
            sets = [DATASETS.build(each) for each in (train, test) if each]
        images = [DataLoader(each, 64, num_workers=1) for each in sets]
        loops = [SimpleNamespace(dataloader=loader) for loader in images]
        source = cfg.default_hooks.class_means.get('source', 'descriptions')
        inputs = [WholeInputs(model, [loop], cfg.templates, source=source) for loop in loops]
        self.inputs = inputs[0]
        self.features = torch.cat([each.trunk for each in inputs])
        self.labels = torch.cat([each.labels for each in inputs])
        self.train = len(sets[0])
        infos = map(sets[0].get_data_info, range(self.train))
        keys = ('rel_path', 'gt_label', 'group')
        self.samples = [
            {'index': i} | {key: info[key] for key in keys if key in info}
            for i, info in enumerate(infos)
        ]

    def divide(self, seed: int, shots: int | None) -> tuple[list[dict], dict[str, torch.Tensor]]:
        """Training images, and the indices of each kind of test images."""
        kept, held = hold_out(self.samples, self.held_share, f'regrets {seed}')
        if shots:
            kept = few_shot(kept, shots, seed)
        tests = {'alike': torch.tensor([sample['index'] for sample in held])}
        if len(self.labels) > self.train:
            tests['own'] = torch.arange(self.train, len(self.labels))
        return kept, tests

    @property
    def held_share(self) -> float:
        """RSSCN7 has 2,800 images, of which 1,200 train."""
        return 4 / 7 if self.name == 'rsscn7' else 0.2


def find_data(out: Path) -> list:
    """Functions that read each data set at hand."""
    configs = config_folder()
    found = [lambda: _split('demo', str(configs / 'lmmreg_demo.py'))]
    if os.environ.get('BAR_ROOT'):
        found.append(lambda: _split('bar', str(configs / 'lmmreg_bar_lite0.py'), described=False))
    if os.environ.get('RSSCN7_ROOT'):
        found.append(lambda: _rsscn7(out))
    return found


def _split(name: str, config: str, described: bool = True) -> Data:
    cfg = load_config(config)
    train = dict(cfg.train_dataloader.dataset)
    if not described:
        text = (
            f'_base_ = {config!r}\ndefault_hooks = dict(class_means=dict(source="class_names"))\n'
        )
        config = _write(name, text)
    return Data(name, config, dict(train, split='train'), dict(train, split='test'))


def _rsscn7(out: Path) -> Data:
    base = str(config_folder() / 'lmmreg_bar_lite0.py')
    text = (
        f'_base_ = {base!r}\nmodel = dict(head=dict(num_classes=7))\n'
        'templates = ["a satellite photo of {}."]\n'
        'default_hooks = dict(class_means=dict(source="class_names"))\n'
    )
    pipeline = load_config(base).test_pipeline
    os.environ['CUSTOM_ROOT'] = root = os.environ['RSSCN7_ROOT']
    names = load_config(Path(__file__).with_name('rsscn7_lite0.py')).names
    data = dict(type='OwnImages', data_root=root, class_names=dict(names), test_fraction=0.0)
    return Data('rsscn7', _write('rsscn7', text), dict(data, pipeline=pipeline), None)


def _write(name: str, text: str) -> str:
    file = Path(os.environ['REGRETS_OUT'], f'{name}.py')
    file.write_text(text)
    return str(file)


def divide(data: Data, shots: int | None, seed: int, division: int = 0) -> tuple:
    """Rows of the training images, their folds and the rows of each kind of test images."""
    kept, tests = data.divide(seed, shots)
    rows = torch.tensor([sample['index'] for sample in kept])
    labels = [sample['gt_label'] for sample in kept]
    units = [sample.get('group') or sample['rel_path'] for sample in kept]
    name = f'{seed}, {division}' if division else seed
    return rows, make_folds(labels, units, int(data.labels.max()) + 1, name), tests


def score_cell(data: Data, shots: int | None, seed: int, file: Path) -> None:
    """Keep the logits of all candidates for one data set, number of images and seed."""
    rows, folds, tests = divide(data, shots, seed)
    content: dict = {'fold': folds.fold, 'labels': data.labels[rows]}
    for name, where in tests.items():
        content[f'test {name}'] = data.labels[where]
    content |= scores(data, CANDIDATES, rows, folds, tests, seed)
    content |= scores(data, [DEFAULT], rows, folds, tests, seed)
    keep(content, file)


def score_further(data: Data, shots: int | None, seed: int, file: Path) -> None:
    """Keep the logits of other numbers of steps, and of a second division into folds."""
    rows, folds, tests = divide(data, shots, seed)
    alike = {'alike': tests['alike']}
    content = scores(data, further_candidates(), rows, folds, alike, seed)
    again = divide(data, shots, seed, division=1)[1]
    content['fold again'] = again.fold
    content |= scores(data, CANDIDATES, rows, again, {}, seed, 'again')
    keep(content, file)


def further_candidates() -> list[Candidate]:
    """Those that train the projection, with other numbers of steps."""
    key = 'train_cfg.min_iters'
    return [
        replace(c, name=f'{c.name} steps={steps}', settings={**c.settings, key: steps})
        for steps in FURTHER_STEPS
        for c in CANDIDATES
        if key in c.settings
    ]


def scores(
    data: Data,
    candidates: Sequence[Candidate],
    rows: torch.Tensor,
    folds: Folds,
    tests: dict[str, torch.Tensor],
    seed: int,
    held_name: str = 'held',
) -> dict[str, torch.Tensor]:
    """Logits of held-out images and, trained on all ``rows``, of each kind of test images."""
    parts = [(rows[train], rows[held]) for train, held in folds.parts()]
    if tests:
        parts.append((rows, torch.cat(list(tests.values()))))
    content, times = {}, []
    for candidate in candidates:
        began = time.time()
        own = parts[-1:] if candidate is DEFAULT else parts
        try:
            cfg = config_of(candidate, data.config)
            forms = train_subsets(cfg, data.inputs, [train for train, _ in own], seed)
        except InputError as error:
            print(f'  {candidate.name}: {error}', flush=True)
            continue
        found = [
            head_logits(data.features[held], form)
            for (_, held), form in zip(own, forms, strict=True)
        ]
        times.append(f'{candidate.name} {time.time() - began:.1f}')
        if tests:
            sizes = [len(where) for where in tests.values()]
            for name, part in zip(tests, found.pop().split(sizes), strict=True):
                content[f'{name} {candidate.name}'] = part
        held = torch.zeros(len(rows), int(data.labels.max()) + 1)
        for k, score in enumerate(found):
            held[folds.fold == k] = score
        content[f'{held_name} {candidate.name}'] = held
    print(f'{data.name}: {", ".join(times)}', flush=True)
    return content


def keep(content: dict, file: Path) -> None:
    """Write a cell whole."""
    with save_atomic(file) as opened:
        np.savez_compressed(opened, **{k: np.asarray(v) for k, v in content.items()})


def choices(content: dict) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Candidates and weights that each rule takes, by held-out scores alone; all temperatures."""
    scored = content['fold'] >= 0
    labels = torch.from_numpy(content['labels'][scored])
    names = [c.name for c in CANDIDATES if f'held {c.name}' in content]
    known = {c.name: c for c in CANDIDATES}
    scores = {n: torch.from_numpy(content[f'held {n}'][scored]) for n in names}
    judged = {n: judge(known[n], scores[n], labels) for n in names}
    own = {n: log_likelihoods(judged[n].log_probabilities, labels) for n in names}
    plain = {n: log_likelihoods(scores[n].log_softmax(1), labels).mean() for n in names}
    ranked = [each.candidate.name for each in rank(list(judged.values()))]
    best = ranked[0]

    def near(name: str) -> bool:
        lost = own[best] - own[name]
        return bool(lost.mean() <= lost.std() / len(lost) ** 0.5)

    averages = {
        'weighted average of the best of each method (kept)': (SHRINKAGE, len(names)),
        'the same without shrinkage': (0.0, len(names)),
        'the same of the best four methods': (SHRINKAGE, 4),
    }
    methods = list(dict.fromkeys(known[name].method for name in ranked))
    rules = {
        'calibrated likelihood': {best: 1.0},
        'the simplest within one standard error': {
            next(n for n in names if n == best or near(n)): 1.0
        },
        'accuracy': {max(names, key=lambda n: judged[n].accuracy): 1.0},
        'likelihood without calibration': {max(names, key=lambda n: float(plain[n])): 1.0},
        'equal average of the best three': dict.fromkeys(ranked[:3], 1.0),
        'equal average of all within one standard error': {
            n: 1.0 for n in names if n == best or near(n)
        },
    }
    for name, (shrinkage, most) in averages.items():
        among = [j for j in judged.values() if j.candidate.method in methods[:most]]
        pairs = weigh(among, labels, shrinkage)
        rules[name] = {each.candidate.name: weight for each, weight in pairs}
    return rules, {n: each.temperature for n, each in judged.items()}


def print_tables(out: Path, first: int) -> None:
    """Points below the best candidate in hindsight, and above default fine-tuning."""
    found: dict = defaultdict(list)
    files = [file for file in out.glob('*.npz') if int(file.stem.rpartition('_')[2]) >= first]
    for file in sorted(files):
        with np.load(file) as opened:
            content = dict(opened)
        shots = file.stem.split('_')[1]
        rules, temperatures = choices(content)
        for test in ('alike', 'own'):
            if f'test {test}' not in content:
                continue
            labels = content[f'test {test}']
            scores = {
                key.removeprefix(f'{test} '): value
                for key, value in content.items()
                if key.startswith(f'{test} ')
            }
            default = accuracy(scores.pop('default'), labels)
            top = max(accuracy(each, labels) for each in scores.values())
            for rule, weights in rules.items():
                logs = sum(w / temperatures[n] * scores[n] for n, w in weights.items())
                right = accuracy(logs, labels)
                found[test, shots, rule].append((top - right, right - default))
    rules = list(dict.fromkeys(rule for _, _, rule in found))
    for test in ('alike', 'own'):
        cells = ', '.join(f'{len(found[test, str(s or "all"), rules[0]])}' for s in SHOTS[::-1])
        print(f'\n{test}: mean regret, worst, above default ({cells} cells)\n')
        print('| rule | 4 images a class | 16 images a class | all images |\n|---|---|---|---|')
        for rule in rules:
            columns = []
            for shots in ('4', '16', 'all'):
                lost, gained = zip(*found[test, shots, rule], strict=True)
                columns.append(f'{np.mean(lost):.1f}, {max(lost):.1f}, {np.mean(gained):+.1f}')
            print(f'| {rule} | ' + ' | '.join(columns) + ' |')


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """In percent."""
    return 100 * float((scores.argmax(1) == labels).mean())


def print_coverage(found: list[Data], seeds: int) -> None:
    """Coverage and mean size of sets, by data, images a class and kind of test images."""
    print(
        '| data | test images | images a class | asked | coverage | lowest seed | classes a set |'
    )
    print('|---|---|---|---|---|---|---|')
    for data in found:
        for shots in (16, None):
            cells: dict = defaultdict(list)
            for seed in range(seeds):
                for key, value in coverage_of(data, shots, seed).items():
                    cells[key].append(value)
            for (test, asked), pairs in cells.items():
                covered, sizes = zip(*pairs, strict=True)
                print(
                    f'| {data.name} | {test} | {shots or "all"} | {asked:.0%} | '
                    f'{np.mean(covered):.1%} | {min(covered):.1%} | {np.mean(sizes):.1f} |',
                    flush=True,
                )


def coverage_of(data: Data, shots: int | None, seed: int) -> dict:
    """Share of covered test images and mean size of a set, by kind of test images and coverage."""
    rows, folds, tests = divide(data, shots, seed)
    labels = data.labels[rows]
    parts = [(rows[train], rows[held]) for train, held in folds.parts()]
    found, judged = {}, []
    for candidate in CANDIDATES:
        if candidate.method in CHEAP:
            cfg = config_of(candidate, data.config)
            found[candidate.name] = score_folds(cfg, data.inputs, parts, seed)
            scores = found[candidate.name]['scores'][rows][folds.scored]
            judged.append(judge(candidate, scores, labels[folds.scored]))
    members = weigh(judged, labels[folds.scored])
    logs = torch.stack([w * each.log_probabilities for each, w in members]).sum(0)
    best = judge(DEFAULT, logs, labels[folds.scored])
    factors = [w / each.temperature / best.temperature for each, w in members]
    own = log_likelihoods(best.log_probabilities, labels[folds.scored]).exp()
    tensors = fold_tensors([found[each.candidate.name] for each, _ in members], factors, own, folds)
    results = {}
    for test, where in tests.items():
        for asked in COVERAGES:
            sets = coverage_sets(data.features[where], tensors, asked)
            right = sets.gather(1, data.labels[where][:, None]).double().mean().item()
            results[test, asked] = right, sets.sum(1).double().mean().item()
    return results


def main() -> None:
    """Score or print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('what', choices=['scores', 'further', 'tables', 'coverage'])
    parser.add_argument('out', type=Path)
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--first', type=int, default=0, help='tables of the seeds from this one on')
    args = parser.parse_args()
    if args.what == 'tables':
        print_tables(args.out, args.first)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ['REGRETS_OUT'] = str(args.out)
    found = [read() for read in find_data(args.out)]
    if args.what == 'coverage':
        print_coverage(found, args.seeds)
        return
    further = args.what == 'further'
    for seed in range(args.seeds):
        for shots in (16,) if further else SHOTS[::-1]:
            for data in found:
                name = f'{data.name}_{shots or "all"}_{seed}.npz'
                file = args.out / f'further_{name}' if further else args.out / name
                if not file.exists():
                    (score_further if further else score_cell)(data, shots, seed, file)


if __name__ == '__main__':
    main()
