"""Coverage of the sets of classes, see ``dev/regrets.py``."""

from collections import defaultdict

import numpy as np
import torch
from regrets import DEFAULT, Data, divide

from mmpretrain_lmmreg.deploy.standalone import coverage_sets
from mmpretrain_lmmreg.fitting.candidates import CANDIDATES
from mmpretrain_lmmreg.fitting.choice import judge, weigh
from mmpretrain_lmmreg.fitting.cross_validation import config_of, fold_tensors, score_folds

COVERAGES = (0.8, 0.9, 0.95)
CHEAP = ('zero_shot', 'gda', 'logreg', 'logreg_trunk')


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
    kept = [found[each.candidate.name] for each, _ in members]
    own = best.log_probabilities, labels[folds.scored]
    tensors = fold_tensors(kept, factors, *own, folds)
    results = {}
    for test, where in tests.items():
        for asked in COVERAGES:
            sets = coverage_sets(data.features[where], tensors, asked)
            right = sets.gather(1, data.labels[where][:, None]).double().mean().item()
            results[test, asked] = right, sets.sum(1).double().mean().item()
    return results
