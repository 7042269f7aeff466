"""Tables of regrets from the logits that ``dev/regrets.py`` keeps."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from regrets import SHOTS, further_candidates

from mmpretrain_lmmreg.fitting.candidates import CANDIDATES
from mmpretrain_lmmreg.fitting.choice import SHRINKAGE, judge, log_likelihoods, rank, weigh


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


def print_further(out: Path) -> None:
    """What the kept rule loses with steps chosen by the folds, and with two divisions."""
    found: dict = defaultdict(list)
    for file in sorted(out.glob('further_*.npz')):
        content: dict = {}
        for name in (file.name.removeprefix('further_'), file.name):
            with np.load(out / name) as opened:
                content |= dict(opened)
        both = content['fold'], content['fold again']
        labels = [torch.from_numpy(content['labels'][fold >= 0]) for fold in both]
        tried = {c.name: c for c in (*CANDIDATES, *further_candidates())}
        held = {
            n: torch.from_numpy(content[f'held {n}'][both[0] >= 0])
            for n in tried
            if f'held {n}' in content
        }
        judged = {n: judge(tried[n], each, labels[0]) for n, each in held.items()}
        usual = [each for name, each in judged.items() if 'steps=' not in name]
        twice = [
            judge(
                j.candidate,
                torch.cat(
                    [
                        held[j.candidate.name],
                        torch.from_numpy(content[f'again {j.candidate.name}'][both[1] >= 0]),
                    ]
                ),
                torch.cat(labels),
            )
            for j in usual
        ]
        rules = {
            'kept': weigh(usual, labels[0]),
            'steps chosen by the folds': weigh(list(judged.values()), labels[0]),
            'two divisions into folds': weigh(twice, torch.cat(labels), 4 * SHRINKAGE),
        }
        test = content['test alike']
        top = max(accuracy(content[f'alike {j.candidate.name}'], test) for j in usual)
        for rule, pairs in rules.items():
            logs = sum(w / j.temperature * content[f'alike {j.candidate.name}'] for j, w in pairs)
            found[rule].append((top - accuracy(logs, test), file.stem))
    print('| rule | mean regret | worst | of each data set |\n|---|---|---|---|')
    for rule, cells in found.items():
        lost = [value for value, _ in cells]
        names = dict.fromkeys(stem.split('_')[1] for _, stem in cells)
        own = ', '.join(
            f'{name} {np.mean([v for v, stem in cells if name in stem]):.1f}' for name in names
        )
        print(f'| {rule} | {np.mean(lost):.1f} | {max(lost):.1f} | {own} |')


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """In percent."""
    return 100 * float((scores.argmax(1) == labels).mean())
