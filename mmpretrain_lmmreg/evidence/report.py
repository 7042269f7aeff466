"""The report: one HTML page that needs nothing beside it."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from ..datasets.files import thumbnail
from ..describe.summary import check_path
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..io.files import read_sealed
from ..io.page import render_page
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
    has_curves = any(len(figures.curve(m)[0]) > 1 for m in methods)
    script = files(__package__).joinpath('templates/report.js').read_text('utf-8')
    return render_page(
        __package__,
        'report.html',
        heading=tables.heading(comparison),
        constant=constant,
        answer=[c for c in columns if c.key in (*tables.ANSWER, 'difference_low')],
        columns=columns,
        rows=comparison['rows'],
        summary=tables.summary(comparison),
        verdicts=[tables.verdict(row) for row in comparison['rows'] if row['baseline']],
        baseline=base.name,
        curves=svg(figures.curves(ordered), 'curves') if has_curves else None,
        several_seeds=any(len(m.runs) > 1 for m in methods),
        gains=class_gains(base, ordered[1:]),
        checks=description_checks(ordered),
        methods=[method_section(m, base, i) for i, m in enumerate(ordered)],
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def svg(figure: Figure, name: str) -> Markup:
    """A figure as part of the page."""
    return Markup(figures.inline_svg(figure, name))


def method_section(method: Method, base: Method, number: int) -> dict[str, Any]:
    """A method's own section of the page."""
    classes = method.classes
    predicted = np.stack([r.predictions.probs.argmax(axis=1) for r in method.runs])
    cells = stats.confusions(method.first.predictions.label, predicted)
    wrong = sorted((c for c in cells if c.label != c.predicted), key=lambda c: -c.share)
    drawn = len(classes) <= DRAWN
    return dict(
        name=method.name,
        confusion=svg(figures.confusion(cells, classes), f'confusion{number}') if drawn else None,
        pairs=[(classes[c.label], classes[c.predicted], c.share) for c in wrong[:PAIRS]],
        reliability=svg(figures.reliability_diagram(method), f'reliability{number}'),
        won=examples(method, base, sign=1) if method is not base else None,
        lost=examples(method, base, sign=-1) if method is not base else None,
    )


def class_gains(base: Method, others: Sequence[Method]) -> dict:
    """Recall of each class by the baseline, and the others' differences to it with intervals."""
    label, group = base.first.predictions.label, base.first.predictions.group
    scores = [comparable(m, base) for m in others]
    rows = []
    for c in np.unique(label):
        chosen = label == c
        pairs = [(ours[:, chosen], theirs[:, chosen]) for ours, theirs in scores]
        rows.append(
            dict(
                name=base.classes[c],
                images=int(chosen.sum()),
                recall=base.scores[:, chosen].mean(),
                gains=[
                    (inference.mean_difference(*pair), *inference.interval(group[chosen], *pair))
                    for pair in pairs
                ],
            )
        )
    return dict(methods=[m.name for m in others], rows=rows)


def examples(method: Method, base: Method, sign: int) -> dict:
    """Images that the method gets right more often than the baseline (sign 1), or less (-1)."""
    gain = sign * (method.scores.mean(axis=0) - base.scores.mean(axis=0))
    chosen = [i for i in np.argsort(-gain, kind='stable')[:IMAGES] if gain[i] > 0]
    descriptions = descriptions_of(method, base)
    predictions, root = method.first.predictions, method.first.record.get('data_root') or '/'
    shown = []
    for i in chosen:
        path = str(predictions.rel_path[i])
        shown.append(
            dict(
                path=path,
                label=method.classes[predictions.label[i]],
                answers=[(m.name, answers(m, i)) for m in (method, base)],
                uri=thumbnail(root, path),
                descriptions=(descriptions.get(path) if descriptions else None) or [],
            )
        )
    return dict(total=int((gain > 0).sum()), shown=shown)


def answers(method: Method, i: int) -> str:
    """What the method's seeds said of an image, the most frequent first."""
    said = sorted(method.classes[run.predictions.probs[i].argmax()] for run in method.runs)
    if len(said) == 1:
        return said[0]
    return ', '.join(f'{name} ({n} of {len(said)})' for name, n in Counter(said).most_common())


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
    users: dict[tuple[str, str | None], dict[str, None]] = {}
    for method in methods:
        for record in (run.record for run in method.runs):
            file = record.get('descriptions')
            if file and record.get('texts') == 'descriptions':
                used = record.get('fingerprints', {}).get('descriptions_fingerprint')
                users.setdefault((file, used), {})[method.name] = None
    checks = []
    for (file, used), names in users.items():
        found = _read_check(check_path(Path(file)))
        changed = found is not None and found['fingerprint'] != used
        checks.append(dict(file=file, methods=list(names), found=found, changed=changed))
    return checks


def _read_check(path: Path) -> dict | None:
    """The figures that ``describe --check`` keeps; None where nobody has looked."""
    fields = dict(prompt=str, fingerprint=str, classes=[dict], all=dict, accuracies=[dict])
    fields |= dict(split=str, suspects=int, outliers=[dict])
    try:
        return read_sealed(path, fields) if path.is_file() else None
    except InputError as error:
        raise InputError(
            f'{error}; `mmpretrain-lmmreg describe CONFIG --check` writes it again',
            code='evidence.bad_check',
        ) from None
