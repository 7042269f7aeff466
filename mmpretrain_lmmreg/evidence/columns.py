"""The columns of a comparison, and how their figures read."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from .stats import BINS

MISSING = '–'
LEVEL = 0.05


def points(share: float | None, sign: bool = False) -> str:
    """A share in percent, or a difference of shares in points, to two places."""
    if share is None:
        return MISSING
    return f'{round(100 * share, 2) + 0.0:{"+" if sign else ""}.2f}'  # + 0.0: no -0.00


def between(low: float | None, high: float | None, sign: bool = False) -> str:
    """'low to high' in points."""
    return MISSING if low is None else f'{points(low, sign)} to {points(high, sign)}'


def number(value: float | None, form: str = '.3f') -> str:
    """A number, by default with three decimals."""
    return MISSING if value is None else f'{value:{form}}'


def p_value(p: float | None) -> str:
    """Three decimals, or '<0.001'."""
    return '<0.001' if p is not None and p < 0.001 else number(p)


def _name(value: object) -> str:
    return str(value or MISSING)


def _accuracy(mean: float, sd: float | None) -> str:
    return points(mean) + ('' if sd is None else f' ± {points(sd)}')


def _by_seed(p_values: dict[str, float]) -> str:
    return ', '.join(map(p_value, p_values.values())) or MISSING


points_above, between_above = partial(points, sign=True), partial(between, sign=True)
whole_number = partial(number, form=',.0f')


class Column(NamedTuple):
    """A column of the table: whose figures of a row it shows, and how."""

    fields: str  # the first one is what rows are sorted by
    heading: str
    form: Callable[..., str] = _name
    meaning: str = ''

    @property
    def key(self) -> str:
        """The column's name in files and pages."""
        return self.fields.split()[0]

    def text(self, row: dict) -> str:
        """The text of a row's cell."""
        return self.form(*(row[field] for field in self.fields.split()))

    def value(self, row: dict) -> Any:
        """What rows are sorted by."""
        value = row[self.key]
        return min(value.values(), default=None) if isinstance(value, dict) else value


_INTERVAL = (
    'from the spread between seeds and between groups of images, each with its own Student’s t '
    '(Banerjee, 1960); with fewer than three seeds of a trained method, for these trained models '
    'on further images'
)
_PAIRED = 'the same for the difference, paired by image, and by seed where the numbers agree'
_P = (
    'two-sided, for the difference to the baseline, from the same intervals; about further seeds '
    'and images; – with fewer than three seeds of a trained method'
)
_P_RUNS = (
    'two-sided sign-flip test by group, for these trained models on further images; it says '
    'nothing about further seeds'
)
_MCNEMAR = 'exact; each run against the baseline’s of the same seed; images count as independent'
_DETECTABLE = (
    'the smallest true difference in points that this test set detects with 80 % power at '
    'p < 0.05, given the observed spread between seeds, discordance and design effect of groups '
    '(Connor, 1987)'
)
COLUMNS = (
    Column('method', 'Method'),
    Column('tuning', 'Tuning', _name, "'default' settings, or 'tuned' on a validation split"),
    Column('protocol', 'Protocol'),
    Column('baseline', 'Against', _name, 'the baseline of this row'),
    Column('seeds', 'Seeds', str, 'number of runs'),
    Column('accuracy accuracy_sd', 'Accuracy %', _accuracy, 'mean ± standard deviation over seeds'),
    Column('accuracy_low accuracy_high', '95 % interval', between, _INTERVAL),
    Column('difference', 'Difference', points_above, 'points above the baseline'),
    Column('difference_low difference_high', 'Its 95 % interval', between_above, _PAIRED),
    Column('p', 'p', p_value, _P),
    Column('p_holm', 'p (Holm)', p_value, 'p adjusted for the number of compared methods'),
    Column('p_runs', 'p of these runs', p_value, _P_RUNS),
    Column('mcnemar_p', 'McNemar p by seed', _by_seed, _MCNEMAR),
    Column('detectable', 'Detectable', points, _DETECTABLE),
    Column('macro_recall', 'Macro recall %', points, 'recall averaged over classes'),
    Column('nll', 'NLL', number, 'negative log-likelihood in nats'),
    Column('ece', 'ECE', number, f'expected calibration error, {BINS} equal bins'),
    Column('trained_parameters', 'Trained parameters', whole_number),
    Column('train_seconds', 'Training s', whole_number, 'of training epochs, mean over seeds'),
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
