"""A check's figures as a file beside the descriptions, which a comparison's report shows."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

from ..descriptions.store import DescriptionStore
from ..io.files import save_atomic, sealed
from .check import Check, ClassCheck, shares_of


def summary_path(descriptions: Path) -> Path:
    """Where the figures of a descriptions file are kept: ``descriptions-check.json`` beside it."""
    return descriptions.with_name(f'{descriptions.stem}-check.json')


def summarize(found: Check) -> dict:
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


def write_summary(found: Check, path: Path) -> None:
    """Write the figures, whole or not at all."""
    content = sealed(summarize(found))
    with save_atomic(path) as file:
        file.write(content)
