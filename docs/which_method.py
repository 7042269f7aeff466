"""The tables of which_method.sh, in Markdown.

python docs/which_method.py work_dirs/which > docs/which_method.md

Each regime's comparison (table.json of tools/compare.py) is a column; methods are rows.
"""

import json
import sys
from pathlib import Path

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


def load(out: Path) -> dict[str, dict[str, dict]]:
    """Rows of every regime that is there, by regime and method; the main methods' first."""
    tables: dict[str, dict[str, dict]] = {}
    for regime in REGIMES:
        for file in (out / f'{regime}{part}-table' / 'table.json' for part in ('', '-rest')):
            for row in json.loads(file.read_text())['rows'] if file.is_file() else ():
                tables.setdefault(regime, {}).setdefault(row['method'], row)
    return tables


def cell(row: dict | None, spread: bool) -> str:
    """Accuracy in percent, its spread over seeds, and a star at p < 0.05 (Holm)."""
    if row is None:
        return '–'
    text = f'{100 * row["accuracy"]:.1f}'
    if spread and row['accuracy_sd'] and row['accuracy_sd'] >= 5e-4:
        text += f' ± {100 * row["accuracy_sd"]:.1f}'
    return text + (' *' if row['p_holm'] is not None and row['p_holm'] < 0.05 else '')


def methods_of(tables: dict[str, dict[str, dict]]) -> list[str]:
    """Names without `(tuned)`, in the order of the fullest table."""
    names = [name for rows in sorted(tables.values(), key=len, reverse=True) for name in rows]
    return list(dict.fromkeys(name.removesuffix(TUNED) for name in names))


def tuned(rows: dict[str, dict], name: str, spread: bool = True) -> str:
    """:func:`cell` of the chosen setting, or ``same`` where that is the default."""
    same = name in rows and rows[name]['tuning'] == 'default = tuned'
    return 'same' if same else cell(rows.get(name + TUNED), spread)


def both(rows: dict[str, dict], name: str) -> str:
    """``default / tuned`` of a method, where it has something to tune."""
    default, chosen = cell(rows.get(name), False), tuned(rows, name, False)
    return default if chosen == '–' else f'{default} / {chosen}'


def print_table(tables: dict[str, dict[str, dict]], names: list[str], text) -> None:
    """A Markdown table with ``text(rows, name)`` in its cells."""
    print('| method |' + ''.join(f' {REGIMES[regime]} |' for regime in tables))
    print('|---|' + '---|' * len(tables))
    for name in names:
        cells = [text(rows, name) for rows in tables.values()]
        if any(each != '–' for each in cells):
            print(f'| `{name}` |' + ''.join(f' {each} |' for each in cells))
    print()


def main() -> None:
    """Print all tables."""
    tables = load(Path(sys.argv[1]))
    names = methods_of(tables)
    print('# Results of all methods\n')
    print('Made by `docs/which_method.py` from `bash docs/which_method.sh`. Test accuracy in')
    print('percent, mean ± standard deviation of five seeds; * unlike fine-tuning at p < 0.05.')
    print('Methods that were tuned, and others of the same sweep that have nothing to tune, are')
    print('compared with tuned fine-tuning, all others with default; Holm in each sweep.\n')
    print('## Default settings\n')
    print_table(tables, names, lambda rows, name: cell(rows.get(name), True))
    print('## Settings chosen among four on held-out training images\n')
    print_table(tables, names, tuned)
    print('## Default / tuned\n')
    print_table(tables, names, both)


if __name__ == '__main__':
    main()
