"""The report: one HTML page that needs nothing beside it."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..datasets.thumbnails import thumbnail
from ..describe.summary import check_path
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..hooks.run_folder import wrong_field
from ..io.files import read_sealed
from . import figures, inference, stats, tables
from .comparison import comparable
from .runs import Method, find_method

IMAGES = 8  # shown of those a method won, and of those it lost
PAIRS = 8  # confusions listed
DRAWN = 1000  # classes up to which a picture of all confusions shows something


def render(comparison: dict, methods: Sequence[Method]) -> str:
    """The page of a comparison, as :func:`comparison.comparison_of` makes it of these methods."""
    base = find_method(methods, comparison['baseline'])
    order = [row['method'] for row in comparison['rows']]
    ordered = sorted(methods, key=lambda m: (m is not base, order.index(m.name)))
    columns, constant = tables.split_constant(comparison, tables.COLUMNS)
    script = files(__package__).joinpath('templates/report.js').read_text('utf-8')
    return (
        environment()
        .get_template('report.html')
        .render(
            heading=tables.heading(comparison),
            constant=constant,
            answer=[c for c in columns if c.key in (*tables.ANSWER, 'difference_low')],
            columns=columns,
            rows=comparison['rows'],
            summary=tables.summary(comparison),
            verdicts=[tables.verdict(row) for row in comparison['rows'] if row['baseline']],
            baseline=base.name,
            curves=svg(figures.curves(ordered), 'curves') if has_curves(ordered) else None,
            several_seeds=any(len(m.runs) > 1 for m in methods),
            gains=class_gains(base, ordered[1:]),
            checks=description_checks(ordered),
            methods=[method_section(m, base, i) for i, m in enumerate(ordered)],
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def environment() -> Environment:
    """Templates that escape every value; a missing one is an error."""
    return Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def svg(figure, name: str) -> Markup:
    """A figure as part of the page."""
    return Markup(figures.inline_svg(figure, name))


def has_curves(methods: Sequence[Method]) -> bool:
    """Whether any method was validated more than once."""
    return any(len(figures.curve(m)[0]) > 1 for m in methods)


def class_names(method: Method) -> list[str]:
    """Names of the classes, or their numbers."""
    count = method.first.predictions.probs.shape[1]
    return method.first.record.get('classes') or [str(i) for i in range(count)]


def method_section(method: Method, base: Method, number: int) -> dict:
    """A method's own section of the page."""
    classes = class_names(method)
    label = method.first.predictions.label
    predicted = np.stack([r.predictions.probs.argmax(axis=1) for r in method.runs])
    cells = stats.confusions(label, predicted, len(classes))
    drawn = None
    if len(classes) <= DRAWN:
        matrix = stats.confusion_matrix(cells, len(classes))
        drawn = svg(figures.confusion(matrix, classes), f'confusion{number}')
    section: dict[str, Any] = dict(
        name=method.name,
        confusion=drawn,
        pairs=stats.most_frequent(cells, classes, PAIRS),
        reliability=svg(figures.reliability_diagram(method), f'reliability{number}'),
        won=None,
        lost=None,
    )
    if method is not base:
        section.update(won=examples(method, base, sign=1), lost=examples(method, base, sign=-1))
    return section


def class_gains(base: Method, others: Sequence[Method]) -> dict:
    """Recall of each class by the baseline, and the others' differences to it with intervals."""
    label, group = base.first.predictions.label, base.first.predictions.group
    names = class_names(base)
    scores = [comparable(m, base) for m in others]
    rows = []
    for c in np.unique(label):
        chosen = label == c
        pairs = [(ours[:, chosen], theirs[:, chosen]) for ours, theirs in scores]
        gains = [
            (inference.mean_difference(*pair), *inference.interval(group[chosen], *pair))
            for pair in pairs
        ]
        rows.append(
            dict(
                name=names[c],
                images=int(chosen.sum()),
                recall=base.scores[:, chosen].mean(),
                gains=gains,
            )
        )
    return dict(methods=[m.name for m in others], rows=rows)


def examples(method: Method, base: Method, sign: int) -> dict:
    """Images that the method gets right more often than the baseline (sign 1), or less (-1)."""
    ours, theirs = method.scores.mean(axis=0), base.scores.mean(axis=0)
    gain = sign * (ours - theirs)
    chosen = [i for i in np.argsort(-gain, kind='stable')[:IMAGES] if gain[i] > 0]
    descriptions = descriptions_of(method, base)
    return dict(
        total=int((gain > 0).sum()),
        shown=[image_section(i, method, base, descriptions) for i in chosen],
    )


def image_section(
    i: int, method: Method, base: Method, descriptions: DescriptionStore | None
) -> dict:
    """A test image with two methods' predictions and its descriptions."""
    predictions, names = method.first.predictions, class_names(method)
    path = str(predictions.rel_path[i])
    return dict(
        path=path,
        label=names[predictions.label[i]],
        answers=[(m.name, answers(m, i, names)) for m in (method, base)],
        uri=thumbnail(method.first.record.get('data_root') or '/', path),
        descriptions=(descriptions.get(path) if descriptions else None) or [],
    )


def answers(method: Method, i: int, names: Sequence[str]) -> str:
    """What the method's seeds said of an image, the most frequent first."""
    said = [names[run.predictions.probs[i].argmax()] for run in method.runs]
    unique = sorted(set(said), key=lambda name: (-said.count(name), name))
    if len(said) == 1:
        return unique[0]
    return ', '.join(f'{name} ({said.count(name)} of {len(said)})' for name in unique)


def descriptions_of(*methods: Method) -> DescriptionStore | None:
    """The descriptions that belong to the test images, where they are still on this machine."""
    for record in (m.first.record for m in methods):
        root = record.get('data_root')
        path = record.get('descriptions') or (root and Path(root, 'descriptions.jsonl'))
        if path and Path(path).is_file():
            return DescriptionStore(path)
    return None


def description_checks(methods: Sequence[Method]) -> list[dict[str, Any]]:
    """Each descriptions file of the runs, with what is known of it.

    Returns:
        ``file``, ``methods`` (names), ``found`` (as ``describe --check`` keeps it) or None
        where nobody has looked, and whether it was ``changed`` since.

    Raises:
        InputError: The figures are damaged.
    """
    files: dict[tuple[str, str | None], list[str]] = {}
    for method in methods:
        for run in method.runs:
            file = run.record.get('descriptions')
            if file and run.record.get('texts') == 'descriptions':
                used = run.record.get('fingerprints', {}).get('descriptions_fingerprint')
                names = files.setdefault((file, used), [])
                names += [method.name] if method.name not in names else []
    checks = []
    for (file, used), names in files.items():
        found = _read_check(check_path(Path(file)))
        changed = found is not None and found.get('fingerprint') != used
        checks.append(dict(file=file, methods=names, found=found, changed=changed))
    return checks


TEXT, COUNT, SHARE, ROWS = (str,), (int,), (int, float), (list,)
Kinds = dict[str, tuple[type, ...]]
CHECK: Kinds = dict(prompt=TEXT, fingerprint=TEXT, classes=ROWS, all=(dict,), accuracies=ROWS)
CHECK |= dict(split=TEXT, suspects=COUNT, outliers=ROWS)
ROW: Kinds = dict(name=TEXT, images=COUNT, asked=COUNT, shares=(dict,))
ACCURACY: Kinds = dict(texts=TEXT, images=COUNT, value=SHARE, low=SHARE, high=SHARE)
OUTLIER: Kinds = dict(image=TEXT, label=TEXT, nearest=TEXT)


def _read_check(path: Path) -> dict | None:
    """The figures that ``describe --check`` keeps; None where nobody has looked."""
    if not path.is_file():
        return None
    hint = '`mmpretrain-lmmreg describe CONFIG --check` writes it again'
    try:
        found = read_sealed(path)
    except InputError as error:
        raise InputError(f'{error}; {hint}', code='evidence.bad_check') from None
    wrong = wrong_field(found, CHECK)
    if not wrong:
        parts: list[tuple[str, Any, Kinds]]
        parts = [(f'classes[{i}].', each, ROW) for i, each in enumerate(found['classes'])]
        parts += [('all.', found['all'], ROW)]
        parts += [(f'accuracies[{i}].', x, ACCURACY) for i, x in enumerate(found['accuracies'])]
        parts += [(f'outliers[{i}].', x, OUTLIER) for i, x in enumerate(found['outliers'])]
        parts += [
            (f'{name}shares.', row['shares'], dict.fromkeys(row['shares'], (*SHARE, type(None))))
            for name, row, kinds in parts
            if kinds is ROW and not wrong_field(row, ROW)
        ]
        wrong = next(filter(None, (wrong_field(x, kinds, name) for name, x, kinds in parts)), None)
    if wrong:
        raise InputError(f'{path}: {wrong}; {hint}', code='evidence.bad_check')
    return found
