"""The runs of results.sh as numbers, and the tables that are made of them.

python dev/results.py collect work_dirs/results   # finished regimes into docs/results/
python dev/results.py table > docs/results.md     # the tables
python dev/results.py p demo-16 gda finetune      # a p-value from what is kept

``docs/results/REGIME.json`` has a comparison's rows (``table.json`` of the command ``compare``).
``docs/results/REGIME.npz`` has what each run got right, from which all of them can be computed:

- ``group`` (N,): number of each image's group;
- ``correct`` (R, N / 8 rounded up) uint8: a bit an image, R runs, as ``numpy.packbits`` packs it;
- ``method`` (R,) str, ``seed`` (R,) int, ``deterministic`` (R,) bool: whose run it is.
"""

import json
import sys
from pathlib import Path

import numpy as np

from mmpretrain_lmmreg.evidence import inference
from mmpretrain_lmmreg.evidence.runs import TUNED, load_methods
from mmpretrain_lmmreg.io.files import save_atomic

KEPT = Path(__file__).resolve().parents[1] / 'docs' / 'results'
REGIMES = {
    'demo': 'demo, all',
    'demo-16': '16',
    'demo-4': '4',
    'bar': 'BAR, all',
    'bar-16': '16',
    'bar-4': '4',
    'bar-full': 'full BAR',
}
Rows = dict[str, dict]  # of a comparison, by method
HEAD = """\
# Results of all methods

This page is for choosing among methods. It shows test accuracy in percent, mean ± standard
deviation of five seeds. `bash dev/results.sh` trains, `python dev/results.py` prints it.

A star marks a difference from fine-tuning at p < 0.05, by Holm over all comparisons of a
column. Default settings are compared with the default settings of fine-tuning, tuned ones
with tuned ones ([statistics](statistics.md)).
"""


def collect(out: Path, kept: Path = KEPT) -> None:
    """Keep what the regimes showed that are finished in ``out``."""
    for table in sorted(out.glob('*-table/table.json')):
        regime = table.parent.name.removesuffix('-table')
        methods = load_methods([out / regime])
        runs = [(method, i) for method in methods for i in range(len(method.runs))]
        _, group = np.unique(methods[0].first.predictions.group, return_inverse=True)
        with save_atomic(kept / f'{regime}.npz') as file:
            np.savez_compressed(
                file,
                group=group.astype(np.int32),
                correct=np.packbits([m.scores[i].astype(bool) for m, i in runs], axis=1),
                method=np.array([m.name for m, _ in runs]),
                seed=np.array([m.seeds[i] for m, i in runs]),
                deterministic=np.array([m.deterministic for m, _ in runs]),
            )
        with save_atomic(kept / f'{regime}.json') as file:
            file.write(table.read_bytes())


def scores_of(regime: str, method: str, kept: Path = KEPT) -> tuple[np.ndarray, np.ndarray]:
    """A method's (S, N) scores, one row if it is deterministic, and the groups (N,)."""
    with np.load(kept / f'{regime}.npz', allow_pickle=False) as file:
        groups, chosen = file['group'], file['method'] == method
        if not chosen.any():
            raise SystemExit(f'{regime} has {", ".join(dict.fromkeys(file["method"]))}')
        scores = np.unpackbits(file['correct'][chosen], axis=1, count=len(groups)).astype(float)
        return scores[:1] if file['deterministic'][chosen].all() else scores, groups


def p_value(regime: str, method: str, baseline: str, kept: Path = KEPT) -> float:
    """The p-value of two methods, not adjusted for others."""
    (ours, groups), (theirs, _) = (scores_of(regime, m, kept) for m in (method, baseline))
    return inference.paired_test(ours, theirs, groups)


def cell(row: dict | None) -> str:
    """Accuracy in percent, its spread over seeds, and a star at p < 0.05 (Holm)."""
    if row is None:
        return '–'
    text = f'{100 * row["accuracy"]:.1f}'
    if row['accuracy_sd'] and row['accuracy_sd'] >= 5e-4:
        text += f' ± {100 * row["accuracy_sd"]:.1f}'
    return text + (' *' if row['p_holm'] is not None and row['p_holm'] < 0.05 else '')


def print_table(regimes: dict[str, Rows], suffix: str) -> None:
    """A Markdown table of all methods' rows whose names end with a suffix, by regime."""
    names = {name.removesuffix(TUNED): None for rows in regimes.values() for name in rows}
    print('| method |' + ''.join(f' {REGIMES[regime]} |' for regime in regimes))
    print('|---|' + '---|' * len(regimes))
    for name in names:
        cells = [cell(rows.get(name + suffix)) for rows in regimes.values()]
        if any(each != '–' for each in cells):
            print(f'| `{name}` |' + ''.join(f' {each} |' for each in cells))
    print()


def tables() -> None:
    """Print all tables."""
    files = {regime: KEPT / f'{regime}.json' for regime in REGIMES}
    regimes = {
        regime: {row['method']: row for row in json.loads(file.read_text())['rows']}
        for regime, file in files.items()
        if file.is_file()
    }
    print(HEAD)
    print('## Default settings\n')
    print_table(regimes, '')
    print('## Settings chosen among four on held-out training images\n')
    print_table(regimes, TUNED)
    print('## Next\n\n[Methods](methods.md) says what each method is and needs.')


if __name__ == '__main__':
    command, *arguments = sys.argv[1:] or ['table']
    if command == 'collect':
        collect(Path(arguments[0]))
    elif command == 'p':
        print(p_value(*arguments))
    else:
        tables()
