"""A comparison as a table: Markdown, CSV, JSON, and the cells of the report page."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .stats import BINS

MISSING = '–'


@dataclass(frozen=True)
class Column:
    """A column of the table: its heading, the text of a row's cell, and what it sorts by."""

    key: str
    heading: str
    text: Callable[[dict], str]
    meaning: str

    def value(self, row: dict) -> Any:
        value = row[self.key]
        return min(value.values(), default=None) if isinstance(value, dict) else value


def points(share: float | None, sign: bool = False) -> str:
    """A share in percent, or a difference of shares in points, to two places."""
    if share is None:
        return MISSING
    return f'{round(100 * share, 2) + 0.0:{"+" if sign else ""}.2f}'  # + 0.0: no -0.00


def between(row: dict, name: str, sign: bool = False) -> str:
    low, high = row[f'{name}_low'], row[f'{name}_high']
    return MISSING if low is None else f'{points(low, sign)} to {points(high, sign)}'


def p_value(p: float | None) -> str:
    if p is None:
        return MISSING
    return '<0.001' if p < 0.001 else f'{p:.3f}'


def decimals(value: float | None) -> str:
    return MISSING if value is None else f'{value:.3f}'


def accuracy(row: dict) -> str:
    sd = '' if row['accuracy_sd'] is None else f' ± {points(row["accuracy_sd"])}'
    return points(row['accuracy']) + sd


def mcnemar(row: dict) -> str:
    return ', '.join(p_value(p) for p in row['mcnemar_p'].values()) or MISSING


def count(value: float | None) -> str:
    return MISSING if value is None else f'{value:,.0f}'


COLUMNS = (
    Column('method', 'Method', lambda r: r['method'], ''),
    Column(
        'tuning',
        'Tuning',
        lambda r: r['tuning'] or MISSING,
        "'default' settings, or 'tuned' on a validation split",
    ),
    Column('protocol', 'Protocol', lambda r: r['protocol'] or MISSING, ''),
    Column('seeds', 'Seeds', lambda r: str(r['seeds']), 'number of runs'),
    Column('accuracy', 'Accuracy %', accuracy, 'mean ± sample standard deviation over seeds'),
    Column(
        'accuracy_low',
        '95 % interval',
        lambda r: between(r, 'accuracy'),
        'Student’s t, from the spread between seeds and between groups of images; with one seed, '
        'of this trained model on further images',
    ),
    Column(
        'difference',
        'Difference',
        lambda r: points(r['difference'], sign=True),
        'points above the baseline',
    ),
    Column(
        'difference_low',
        'Its 95 % interval',
        lambda r: between(r, 'difference', sign=True),
        'likewise, of the difference paired by image, and by seed where there are equally many',
    ),
    Column(
        'p',
        'p',
        lambda r: p_value(r['p']),
        'two-sided t-test with the same spreads, which speaks of further seeds and images; – below '
        'three seeds of a trained method, whose spread is then unknown',
    ),
    Column(
        'p_holm',
        'p (Holm)',
        lambda r: p_value(r['p_holm']),
        'p adjusted for the number of methods compared with the baseline',
    ),
    Column(
        'p_runs',
        'p of these runs',
        lambda r: p_value(r['p_runs']),
        'two-sided sign-flip test by group: of the trained models at hand on further images; says '
        'nothing of further seeds',
    ),
    Column(
        'mcnemar_p',
        'McNemar p by seed',
        mcnemar,
        'exact, each run against the baseline’s of the same seed; takes images as independent',
    ),
    Column(
        'detectable',
        'Detectable',
        lambda r: points(r['detectable']),
        'the smallest true difference in points that this test set shows with 80 % power at '
        'p < 0.05, at the observed spread between seeds, discordance and design effect of groups '
        '(Connor, 1987)',
    ),
    Column(
        'macro_recall',
        'Macro recall %',
        lambda r: points(r['macro_recall']),
        'recall averaged over classes',
    ),
    Column('nll', 'NLL', lambda r: decimals(r['nll']), 'negative log-likelihood in nats'),
    Column(
        'ece', 'ECE', lambda r: decimals(r['ece']), f'expected calibration error, {BINS} equal bins'
    ),
    Column(
        'trained_parameters', 'Trained parameters', lambda r: count(r['trained_parameters']), ''
    ),
    Column(
        'train_seconds',
        'Training s',
        lambda r: count(r['train_seconds']),
        'seconds in training epochs, mean over seeds',
    ),
)

SHORT = (
    'method',
    'tuning',
    'seeds',
    'accuracy',
    'accuracy_low',
    'difference',
    'p_holm',
    'train_seconds',
)


def heading(comparison: dict) -> str:
    """One sentence on what was compared."""
    c = comparison
    return (
        f'{c["images"]:,} test images in {c["groups"]:,} independent groups, {c["classes"]} '
        f'classes; baseline: {c["baseline"]}.'
    )


def markdown(comparison: dict) -> str:
    """The table in Markdown, with what its columns mean."""
    notes = [f'- {c.heading}: {c.meaning}.' for c in COLUMNS if c.meaning]
    return '\n'.join([heading(comparison), '', *_rows(comparison, COLUMNS), '', *notes, ''])


def short(comparison: dict) -> str:
    """The columns that answer which method is better, in Markdown, aligned for a terminal."""
    columns = [c for c in COLUMNS if c.key in SHORT]
    if all(row['tuning'] == 'default' for row in comparison['rows']):
        columns = [c for c in columns if c.key != 'tuning']
    return '\n'.join([heading(comparison), '', *_rows(comparison, columns, aligned=True), ''])


def _rows(comparison: dict, columns: Sequence[Column], aligned: bool = False) -> list[str]:
    table = [
        [c.heading for c in columns],
        *([c.text(r) for c in columns] for r in comparison['rows']),
    ]
    table = [[cell.replace('|', '\\|').replace('\n', ' ') for cell in line] for line in table]
    widths = [max(map(len, cells)) if aligned else 0 for cells in zip(*table, strict=True)]
    table.insert(1, ['-' * max(3, width) for width in widths])
    return [
        '| '
        + ' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + ' |'
        for line in table
    ]


def comma_separated(comparison: dict) -> str:
    """The rows with all their digits as CSV; McNemar's p-values as JSON by seed."""
    rows = comparison['rows']
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator='\n')
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, 'mcnemar_p': json.dumps(row['mcnemar_p'])})
    return file.getvalue()
