"""The columns of a comparison, and how their figures read."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .stats import BINS

MISSING = '–'
LEVEL = 0.05


class Column(NamedTuple):
    """A column of the table: its heading, the text of a row's cell, and what it means."""

    key: str
    heading: str
    text: Callable[[dict], str]
    meaning: str = ''

    def value(self, row: dict) -> Any:
        """What rows are sorted by."""
        value = row[self.key]
        return min(value.values(), default=None) if isinstance(value, dict) else value


def points(share: float | None, sign: bool = False) -> str:
    """A share in percent, or a difference of shares in points, to two places."""
    if share is None:
        return MISSING
    return f'{round(100 * share, 2) + 0.0:{"+" if sign else ""}.2f}'  # + 0.0: no -0.00


def between(row: dict, name: str, sign: bool = False) -> str:
    """'low to high' in points."""
    low, high = row[f'{name}_low'], row[f'{name}_high']
    return MISSING if low is None else f'{points(low, sign)} to {points(high, sign)}'


def number(value: float | None, form: str = '.3f') -> str:
    """A number, by default with three decimals."""
    return MISSING if value is None else f'{value:{form}}'


def p_value(p: float | None) -> str:
    """Three decimals, or '<0.001'."""
    return '<0.001' if p is not None and p < 0.001 else number(p)


def _accuracy(row: dict) -> str:
    sd = '' if row['accuracy_sd'] is None else f' ± {points(row["accuracy_sd"])}'
    return points(row['accuracy']) + sd


def _by_seed(row: dict) -> str:
    return ', '.join(p_value(p) for p in row['mcnemar_p'].values()) or MISSING


COLUMNS = (
    Column('method', 'Method', lambda r: r['method']),
    Column(
        'tuning',
        'Tuning',
        lambda r: r['tuning'] or MISSING,
        "'default' settings, or 'tuned' on a validation split",
    ),
    Column('protocol', 'Protocol', lambda r: r['protocol'] or MISSING),
    Column('baseline', 'Against', lambda r: r['baseline'] or MISSING, 'the baseline of this row'),
    Column('seeds', 'Seeds', lambda r: str(r['seeds']), 'number of runs'),
    Column('accuracy', 'Accuracy %', _accuracy, 'mean ± sample standard deviation over seeds'),
    Column(
        'accuracy_low',
        '95 % interval',
        lambda r: between(r, 'accuracy'),
        'from the spread between seeds and between groups of images, each with its own Student’s t '
        '(Banerjee, 1960); with fewer than three seeds of a trained method, for these trained '
        'models on further images',
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
        'the same for the difference, paired by image, and by seed where the numbers agree',
    ),
    Column(
        'p',
        'p',
        lambda r: p_value(r['p']),
        'two-sided, for the difference to the baseline, from the same intervals; about further '
        'seeds and images; – with fewer than three seeds of a trained method',
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
        'two-sided sign-flip test by group, for these trained models on further images; it says '
        'nothing about further seeds',
    ),
    Column(
        'mcnemar_p',
        'McNemar p by seed',
        _by_seed,
        'exact; each run against the baseline’s run of the same seed; images count as independent',
    ),
    Column(
        'detectable',
        'Detectable',
        lambda r: points(r['detectable']),
        'the smallest true difference in points that this test set detects with 80 % power at '
        'p < 0.05, given the observed spread between seeds, discordance and design effect of '
        'groups (Connor, 1987)',
    ),
    Column(
        'macro_recall',
        'Macro recall %',
        lambda r: points(r['macro_recall']),
        'recall averaged over classes',
    ),
    Column('nll', 'NLL', lambda r: number(r['nll']), 'negative log-likelihood in nats'),
    Column(
        'ece', 'ECE', lambda r: number(r['ece']), f'expected calibration error, {BINS} equal bins'
    ),
    Column(
        'trained_parameters',
        'Trained parameters',
        lambda r: number(r['trained_parameters'], ',.0f'),
    ),
    Column(
        'train_seconds',
        'Training s',
        lambda r: number(r['train_seconds'], ',.0f'),
        'seconds in training epochs, mean over seeds',
    ),
)

ANSWER = ('method', 'baseline', 'seeds', 'accuracy', 'accuracy_low', 'difference', 'p_holm')
"""The columns that answer which method is better."""

SETTINGS = ('tuning', 'protocol', 'baseline', 'seeds', 'trained_parameters')
"""Columns that are left to a sentence where they are the same for all methods."""


def split_constant(comparison: dict, columns: Sequence[Column]) -> tuple[list[Column], list[str]]:
    """The columns in which methods differ, and "heading: text" of those in which they do not."""
    varying, constant = [], []
    for column in columns:
        texts = {column.text(row) for row in comparison['rows']} - {MISSING}
        if column.key in SETTINGS and len(texts) < 2:
            constant += [f'{column.heading}: {text}' for text in texts]
        else:
            varying.append(column)
    return varying, constant
