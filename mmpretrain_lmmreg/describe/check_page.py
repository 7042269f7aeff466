"""What a check leaves: a page that needs nothing beside it, and its figures for reports."""

import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..datasets.thumbnails import thumbnail
from ..descriptions.store import DescriptionStore
from ..io.files import save_atomic, sealed
from ..io.printing import plain
from .check import Check, ClassCheck, shares_of


def render(found: Check) -> str:
    """The page as HTML, every value escaped; pictures of the outliers are part of it."""
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template('check.html').render(
        found=found,
        rows=[(each, shares_of(each)) for each in found.classes],
        outliers=[(each, thumbnail(*os.path.split(each.path), 240)) for each in found.outliers],
    )


def write_page(found: Check, path: Path) -> None:
    """Write the page, whole or not at all."""
    page = plain(render(found))
    with save_atomic(path) as file:
        file.write(page.encode())


def figures_of(found: Check) -> dict:
    """The figures, JSON-able.

    Returns:
        ``file``, ``prompt``, ``fingerprint`` of the descriptions, ``classes`` and ``all``, each
        with counts and ``shares`` in [0, 1]; ``accuracies`` (``texts``, ``images``, ``value`` and
        Wilson's ``low`` and ``high``) on ``split``, ``suspects``, and ``outliers`` nearer to
        another class than to their own.
    """
    return dict(
        file=str(found.file),
        prompt=found.prompt,
        fingerprint=DescriptionStore(found.file).fingerprint,
        classes=[_row(each) for each in found.classes],
        all=_row(_total(found.classes)),
        accuracies=[
            dict(
                texts=name,
                images=share.total,
                value=share.value,
                low=share.interval[0],
                high=share.interval[1],
            )
            for name, share in found.accuracies.items()
        ],
        split=found.split,
        suspects=found.suspects,
        outliers=[
            {key: value for key, value in asdict(each).items() if key not in ('path', 'texts')}
            for each in found.outliers
            if each.ratio > 1
        ],
    )


def _row(each: ClassCheck) -> dict:
    counts = ('name', 'images', 'asked', 'described', 'texts', 'distance')
    return {**{key: getattr(each, key) for key in counts}, 'shares': shares_of(each)}


def _total(classes: list[ClassCheck]) -> ClassCheck:
    """All classes as one; its distance is not known."""
    total = ClassCheck('all')
    for key in ('images', 'asked', 'described', 'texts', 'own', 'other', 'repeats', 'nearer'):
        setattr(total, key, sum(getattr(each, key) for each in classes))
    total.statuses = sum((each.statuses for each in classes), Counter())
    return total


def write_figures(found: Check, path: Path) -> None:
    """Write the figures, whole or not at all."""
    content = sealed(figures_of(found))
    with save_atomic(path) as file:
        file.write(content)
