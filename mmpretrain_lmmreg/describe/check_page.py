"""What a check leaves: a page that needs nothing beside it, and its figures for reports."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..datasets.thumbnails import thumbnail
from ..descriptions.store import DescriptionStore
from ..io.files import save_atomic, sealed
from ..io.printing import plain
from .check import Check, ClassCheck


def write_check(found: Check, page: Path, figures: Path) -> None:
    """Write the page and the figures, each whole or not at all."""
    for path, content in (
        (page, plain(render(found)).encode()),
        (figures, sealed(figures_of(found))),
    ):
        with save_atomic(path) as file:
            file.write(content)


def render(found: Check) -> str:
    """The page as HTML, every value escaped; the images of the outliers are part of it."""
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template('check.html').render(
        found=found,
        outliers=[(each, thumbnail(*os.path.split(each.path), 240)) for each in found.outliers],
    )


def figures_of(found: Check) -> dict[str, Any]:
    """The figures, JSON-able.

    Returns:
        ``file``, ``prompt``, ``fingerprint`` of the descriptions, ``classes`` and ``all``, each
        with counts and ``shares`` in [0, 1]; ``accuracies`` (``texts``, ``images``, ``value`` and
        Wilson's ``low`` and ``high``) on ``split``, ``suspects``, and ``outliers`` nearer to
        another class than to their own.
    """
    accuracies = [
        dict(zip(('low', 'high'), share.interval, strict=True))
        | dict(texts=name, images=share.total, value=share.value)
        for name, share in found.accuracies.items()
    ]
    suspects = [asdict(each) for each in found.outliers if each.ratio > 1]
    return dict(
        file=str(found.file),
        prompt=found.prompt,
        fingerprint=DescriptionStore(found.file).fingerprint,
        classes=[_row(each) for each in found.classes],
        all=_row(sum(found.classes, ClassCheck('all'))),
        accuracies=accuracies,
        split=found.split,
        suspects=found.suspects,
        outliers=[
            {key: value for key, value in each.items() if key not in ('path', 'texts')}
            for each in suspects
        ],
    )


def _row(each: ClassCheck) -> dict[str, Any]:
    counts = ('name', 'images', 'asked', 'described', 'texts', 'distance')
    return {**{key: getattr(each, key) for key in counts}, 'shares': each.shares}
