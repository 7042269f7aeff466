"""A comparison as a table: Markdown, CSV, JSON, and the cells of the report page."""

import csv
import io
import json
from collections.abc import Sequence

from ..io.printing import no_formula
from .columns import (
    ANSWER,
    COLUMNS,
    LEVEL,
    Column,
    between,
    p_value,
    points,
    split_constant,
)
from .runs import TUNED


def heading(comparison: dict) -> str:
    """One sentence on what was compared."""
    c = comparison
    return (
        f'{c["images"]:,} test images in {c["groups"]:,} independent groups, {c["classes"]} '
        f'classes; baseline: {c["baseline"]}.'
    )


def verdict(row: dict) -> str:
    """What a row shows about its method, in a sentence."""
    name, other = row['method'], row['baseline']
    if other is None:
        return f'{name} is the baseline.'
    if row['p_holm'] is None:
        return (
            f'{name} and {other}: these trained models differ by '
            f'{points(row["difference"], sign=True)} points (p {p_value(row["p_runs"])} without '
            'adjustment). Fewer than three seeds say nothing about further ones.'
        )
    if row['p_holm'] < LEVEL:
        better = 'better' if row['difference'] > 0 else 'worse'
        return (
            f'{name} is {better} than {other} by {points(abs(row["difference"]))} points '
            f'({between(row["difference_low"], row["difference_high"], sign=True)}).'
        )
    if row['p'] < LEVEL:
        return (
            f'{name} and {other}: no difference shown ({points(row["difference"], sign=True)}; '
            f'p {p_value(row["p_holm"])} after Holm’s adjustment, {p_value(row["p"])} without it).'
        )
    enough = (
        f'a difference of {points(row["detectable"])} points would be detected with 80 % power'
        if row['detectable']
        else 'there are too few test images to detect any difference'
    )
    difference = points(row['difference'], sign=True)
    return f'{name} and {other}: no difference shown ({difference}; {enough}).'


def is_alone(row: dict, comparison: dict) -> bool:
    """Whether a tuned method has no tuned baseline to be compared with."""
    name = comparison['baseline'].removesuffix(TUNED)
    return row['baseline'] is None and row['method'] not in (name, name + TUNED)


def summary(comparison: dict) -> str:
    """What all rows together show, in a sentence."""
    rows = [row for row in comparison['rows'] if row['baseline']]
    tested = [row for row in rows if row['p_holm'] is not None]
    parts = []
    for word, sign in (('better', 1), ('worse', -1)):
        shown = [r for r in tested if r['p_holm'] < LEVEL and sign * r['difference'] > 0]
        if shown:
            named = ', '.join(f'{row["method"]} (than {row["baseline"]})' for row in shown)
            parts.append(f'shown to be {word}: {named}')
    unknown = len(rows) - len(tested)
    rest = len(tested) - sum(row['p_holm'] < LEVEL for row in tested)
    if rest:
        parts.append(f'no difference shown for {rest} of {len(rows)} methods')
    if unknown:
        parts.append(f'{unknown} of {len(rows)} methods have too few seeds (three are needed)')
    if alone := [row['method'] for row in comparison['rows'] if is_alone(row, comparison)]:
        parts.append(
            f'{", ".join(alone)}: not compared, because {comparison["baseline"]} was not tuned '
            '(give it a --grid)'
        )
    text = '; '.join(parts) or 'there are no methods to compare'
    return text[0].upper() + text[1:] + '.'


def markdown(comparison: dict) -> str:
    """The table in Markdown, with what it shows and what its columns mean."""
    columns, constant = split_constant(comparison, COLUMNS)
    verdicts = [f'- {verdict(row)}' for row in comparison['rows'] if row['baseline']]
    notes = [f'- {c.heading}: {c.meaning}.' for c in columns if c.meaning]
    same = [f'The same in all rows: {"; ".join(constant)}.', ''] if constant else []
    table = _rows(comparison, columns)
    parts = [heading(comparison), '', *same, *table, '', *verdicts, '', *notes, '']
    return '\n'.join(parts)


def short(comparison: dict) -> str:
    """The columns that answer which method is better, in Markdown, aligned for a terminal."""
    columns, constant = split_constant(comparison, [c for c in COLUMNS if c.key in ANSWER])
    seeds = [each for each in constant if each.startswith('Seeds')]
    table = _rows(comparison, columns, aligned=True)
    return '\n'.join(
        [
            ' '.join([heading(comparison), *(f'{s}.' for s in seeds)]),
            '',
            *table,
            '',
            summary(comparison),
            '',
        ]
    )


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
    """The rows with all their digits as CSV; McNemar's p-values as JSON by seed.

    Text that a spreadsheet would compute stands behind an apostrophe.
    """
    rows = comparison['rows']
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator='\n')
    writer.writeheader()
    for row in rows:
        cells = {**row, 'mcnemar_p': json.dumps(row['mcnemar_p'])}
        writer.writerow({key: no_formula(cell) for key, cell in cells.items()})
    return file.getvalue()
