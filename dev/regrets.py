"""Regrets of ways to choose a method, and the coverage of sets of classes.

    python dev/regrets.py scores OUT
    python dev/regrets.py further OUT --seeds 3
    python dev/regrets.py tables OUT
    python dev/regrets.py coverage OUT

``scores`` trains every candidate of ``mmpretrain-lmmreg fit`` on the folds of the training images
and on all of them, for each data set, number of images and seed, and keeps the logits in OUT; a
stopped run goes on. ``further`` does so for 16 images a class with other numbers of steps, and with
a second division into folds. ``tables`` prints what each way to choose loses against the best
candidate in hindsight. ``coverage`` prints the share of test images whose set holds the right
class, of the average of candidates without gradient steps. Needs $BAR_ROOT and $RSSCN7_ROOT; other
data sets are left out.
"""

import argparse
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS
from torch.utils.data import DataLoader

import mmpretrain_lmmreg.register  # noqa: F401
from mmpretrain_lmmreg.config import config_folder, load_config
from mmpretrain_lmmreg.datasets.splits import few_shot, hold_out
from mmpretrain_lmmreg.deploy.standalone import head_logits
from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.fitting.candidates import CANDIDATES, Candidate
from mmpretrain_lmmreg.fitting.cross_validation import config_of
from mmpretrain_lmmreg.fitting.folds import Folds, make_folds
from mmpretrain_lmmreg.fitting.inputs import WholeInputs
from mmpretrain_lmmreg.fitting.training import train_subsets
from mmpretrain_lmmreg.io.files import save_atomic

SHOTS = (None, 16, 4)
FURTHER_STEPS = (100, 900)  # beside those of the candidates
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


def main() -> None:
    """Score or print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('what', choices=['scores', 'further', 'tables', 'coverage'])
    parser.add_argument('out', type=Path)
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--first', type=int, default=0, help='tables of the seeds from this one on')
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    if args.what == 'tables':
        from regret_tables import print_further, print_tables

        print_tables(args.out, args.first)
        print_further(args.out)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ['REGRETS_OUT'] = str(args.out)
    found = [read() for read in find_data(args.out)]
    if args.what == 'coverage':
        from set_coverage import print_coverage

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
