"""The tables of results.sh, in Markdown.

python docs/results.py work_dirs/results > docs/results.md

Each regime's comparison (table.json of tools/compare.py) is a column; methods are rows. What is
finished in the folder is put into results.json, which the tables are made of.
"""

import json
import re
import sys
from pathlib import Path

FIGURES = Path(__file__).with_suffix('.json')
REGIMES = {
    'demo': 'demo, all',
    'demo-16': '16',
    'demo-4': '4',
    'bar': 'BAR, all',
    'bar-16': '16',
    'bar-4': '4',
    'bar-full': 'full BAR',
}
TUNED = ' (tuned)'
Cells = dict[str, list[str]]  # of a method: default and tuned


def collect(out: Path) -> dict[str, Cells]:
    """Keep the cells of the regimes that are finished in ``out``; gives all that were kept."""
    kept = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
    for regime in REGIMES:
        file = out / f'{regime}-table' / 'table.json'
        if file.is_file():
            rows = {row['method']: row for row in json.loads(file.read_text())['rows']}
            names = dict.fromkeys(name.removesuffix(TUNED) for name in rows)
            kept[regime] = {name: [cell(rows.get(name)), tuned(rows, name)] for name in names}
    ordered = {regime: kept[regime] for regime in REGIMES if regime in kept}
    FIGURES.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + '\n')
    return ordered


def cell(row: dict | None) -> str:
    """Accuracy in percent, its spread over seeds, and a star at p < 0.05 (Holm)."""
    if row is None:
        return '–'
    text = f'{100 * row["accuracy"]:.1f}'
    if row['accuracy_sd'] and row['accuracy_sd'] >= 5e-4:
        text += f' ± {100 * row["accuracy_sd"]:.1f}'
    return text + (' *' if row['p_holm'] is not None and row['p_holm'] < 0.05 else '')


def tuned(rows: dict[str, dict], name: str) -> str:
    """:func:`cell` of the chosen setting, or ``same`` where that is the default."""
    same = name in rows and rows[name]['tuning'] == 'default = tuned'
    return 'same' if same else cell(rows.get(name + TUNED))


def both(cells: list[str]) -> str:
    """``default / tuned`` without spreads, the first alone where there is nothing to tune."""
    default, chosen = (re.sub(r' ± [\d.]+', '', text) for text in cells)
    return default if chosen == '–' else f'{default} / {chosen}'


def print_table(figures: dict[str, Cells], text) -> None:
    """A Markdown table with ``text(cells)`` of each method and regime."""
    names = max(figures.values(), key=len)
    names = dict.fromkeys([*names, *(name for cells in figures.values() for name in cells)])
    print('| method |' + ''.join(f' {REGIMES[regime]} |' for regime in figures))
    print('|---|' + '---|' * len(figures))
    for name in names:
        row = [text(cells.get(name, ['–', '–'])) for cells in figures.values()]
        if any(each != '–' for each in row):
            print(f'| `{name}` |' + ''.join(f' {each} |' for each in row))
    print()


def main() -> None:
    """Print all tables."""
    figures = collect(Path(sys.argv[1]))
    print('# Results of all methods\n')
    print('Made by `docs/results.py` from `bash docs/results.sh`. Test accuracy in')
    print('percent, mean ± standard deviation of five seeds; * unlike fine-tuning at p < 0.05.')
    print('Methods that were tuned, and others of the same sweep that have nothing to tune, are')
    print('compared with tuned fine-tuning, all others with default; Holm in each column, over the')
    print('methods that it has.\n')
    print('## Default settings\n')
    print_table(figures, lambda cells: cells[0])
    print('## Settings chosen among four on held-out training images\n')
    print_table(figures, lambda cells: cells[1])
    print('## Default / tuned\n')
    print_table(figures, both)


if __name__ == '__main__':
    main()
