"""The runs of results.sh as numbers, and the tables that are made of them.

python dev/results.py collect work_dirs/results       # finished sweeps into docs/results/
python dev/results.py table                           # the tables of docs/results.md
python dev/results.py readme                          # the README's
python dev/results.py p demo-16 gda finetune          # a p-value from what is kept, not adjusted

``docs/results/SWEEP.npz`` has what each run got right, from which every figure is computed:

- ``group`` (N,): number of each test image's group;
- ``correct`` (R, N / 8 rounded up) uint8: a bit an image, R runs, as ``numpy.packbits`` packs it;
- ``method`` (R,) str, ``seed`` (R,) int, ``deterministic`` (R,) bool: whose run it is.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmpretrain_lmmreg.evidence import inference
from mmpretrain_lmmreg.evidence.runs import TUNED, load_methods
from mmpretrain_lmmreg.io.files import save_atomic

KEPT = Path(__file__).resolve().parents[1] / 'docs' / 'results'
DATA = {
    'demo': 'The demo',
    'bar': "BAR's described images",
    'full': 'BAR',
    'rsscn7': 'RSSCN7, class names only',
}
SHOTS = {'': 'all images', '-16': '16 a class', '-4': '4 a class'}
QUESTION = '-question'
BASELINE = 'finetune'
IN_README = ('finetune', 'lmmreg', 'logreg_trunk', 'mean_start', 'clap', 'zero_shot')


def collect(out: Path, kept: Path = KEPT) -> None:
    """Keep what the sweeps showed that are finished in ``out``."""
    for table in sorted(out.glob('*-table/table.json')):
        name = table.parent.name.removesuffix('-table')
        methods = load_methods([out / name])
        runs = [(method, i) for method in methods for i in range(len(method.runs))]
        _, group = np.unique(methods[0].first.predictions.group, return_inverse=True)
        with save_atomic(kept / f'{name}.npz') as file:
            np.savez_compressed(
                file,
                group=group.astype(np.int32),
                correct=np.packbits([m.scores[i].astype(bool) for m, i in runs], axis=1),
                method=np.array([m.name for m, _ in runs]),
                seed=np.array([m.seeds[i] for m, i in runs]),
                deterministic=np.array([m.deterministic for m, _ in runs]),
            )


class Sweep:
    """What is kept of a sweep: scores of its methods, groups of its images."""

    def __init__(self, name: str, kept: Path = KEPT) -> None:
        with np.load(kept / f'{name}.npz', allow_pickle=False) as file:
            content = dict(file)
        self.name, self.groups = name, content['group']
        self.scores: dict[str, NDArray] = {}
        for method in dict.fromkeys(content['method'].tolist()):
            rows = content['method'] == method
            bits = np.unpackbits(content['correct'][rows], axis=1, count=len(self.groups))
            same = content['deterministic'][rows].all()
            self.scores[method] = (bits[:1] if same else bits).astype(float)

    def tuned(self, method: str) -> NDArray:
        """Scores at the chosen setting, which may be the default one."""
        return self.scores.get(method + TUNED, self.scores[method])

    def p(self, ours: NDArray, theirs: NDArray) -> float:
        """P-value of two methods' scores, not adjusted for others."""
        return inference.paired_test(ours, theirs, self.groups)


def sweeps(kinds: Sequence[str], kept: Path = KEPT) -> dict[str, Sweep]:
    """The kept sweeps among these names."""
    return {name: Sweep(name, kept) for name in kinds if (kept / f'{name}.npz').is_file()}


def percent(scores: NDArray) -> str:
    """Accuracy in percent and its standard deviation over the runs."""
    means = 100 * scores.mean(axis=1)
    return f'{means.mean():.1f}' + (f' ± {means.std(ddof=1):.1f}' if len(means) > 1 else '')


def stars(kept: Sequence[tuple[Sweep, NDArray, NDArray]]) -> list[str]:
    """A star for each comparison with p < 0.05, by Holm over all of them; three runs are needed."""
    enough = [all(len(s) in (1, *range(3, 99)) for s in pair[1:]) for pair in kept]
    tested = [pair for pair, tell in zip(kept, enough, strict=True) if tell]
    adjusted = iter(inference.holm([sweep.p(*pair) for sweep, *pair in tested]))
    return [' *' if tell and next(adjusted) < 0.05 else '' for tell in enough]


def question_table(kept: Path = KEPT) -> None:
    """Fine-tuning beside the regularisers, settings chosen on held-out training images."""
    names = [data + shots + QUESTION for data in DATA for shots in SHOTS]
    found = list(sweeps(names, kept).values())
    methods = ['lmmreg', 'shuffled', 'rafa', 'image_means']
    pairs = [(s, s.tuned(m), s.tuned(BASELINE)) for s in found for m in methods]
    marks = iter(stars(pairs))
    print('| data | fine-tuning | LMM-Reg. | other classes | random | images |')
    print('|---|---|---|---|---|---|')
    for sweep in found:
        data, _, shots = sweep.name.removesuffix(QUESTION).partition('-')
        cells = [percent(sweep.tuned(m)) + next(marks) for m in methods]
        title = f'{DATA[data]}, {SHOTS["-" + shots if shots else ""]}'
        print(f'| {title} | {percent(sweep.tuned(BASELINE))} | ' + ' | '.join(cells) + ' |')
    print()


def data_table(data: str, suffix: str = '', kept: Path = KEPT) -> None:
    """All methods at their default settings on one data set, best mean first."""
    found = sweeps([data + shots + suffix for shots in SHOTS], kept)
    if not found:
        return
    print(f'### {DATA[data]}\n')
    pairs = {
        (name, m): (s, s.scores[m], s.scores[BASELINE])
        for name, s in found.items()
        for m in s.scores
        if m != BASELINE
    }
    marks = dict(zip(pairs, stars(list(pairs.values())), strict=True))
    methods = list(dict.fromkeys(m for s in found.values() for m in s.scores))
    mean = {m: [s.scores[m].mean() for s in found.values() if m in s.scores] for m in methods}
    heads = [SHOTS[name.removeprefix(data).removesuffix(suffix)] for name in found]
    print('| method | ' + ' | '.join(heads) + ' |\n|---|' + '---|' * len(found))
    for method in sorted(methods, key=lambda m: -np.mean(mean[m])):
        cells = [
            percent(s.scores[method]) + marks.get((name, method), '') if method in s.scores else '–'
            for name, s in found.items()
        ]
        print(f'| `{method}` | ' + ' | '.join(cells) + ' |')
    print()


def readme_table(kept: Path = KEPT) -> None:
    """Six methods on three data sets: the README's table."""
    names = [data + shots for data in ('demo', 'full', 'rsscn7') for shots in ('', '-16')]
    print('| method | demo | 16 | BAR | 16 | RSSCN7 | 16 |\n|---|---|---|---|---|---|---|')
    for method in IN_README:
        cells = [percent(s.scores[method]) for s in sweeps(names, kept).values()]
        print(f'| `{method}` | ' + ' | '.join(cells) + ' |')
    print()


def tables(kept: Path = KEPT) -> None:
    """Print all tables of docs/results.md."""
    print('## Does the regulariser help?\n')
    question_table(kept)
    print('## Which method?\n')
    for data in DATA:
        data_table(data, kept=kept)
    print('## The other methods\n')
    for data in DATA:
        data_table(data, '-others', kept)


if __name__ == '__main__':
    command, *arguments = sys.argv[1:] or ['table']
    if command == 'collect':
        collect(Path(arguments[0]))
    elif command == 'p':
        sweep = Sweep(arguments[0])
        print(f'{sweep.p(sweep.scores[arguments[1]], sweep.scores[arguments[2]]):.2g}')
    elif command == 'readme':
        readme_table()
    else:
        tables()
