"""The quality of a descriptions file: by class, by image, and as a classifier without training."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from ..datasets.files import thumbnail
from ..descriptions.lines import Record
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..io.files import save_atomic, sealed
from ..io.page import render_page
from ..io.printing import plain
from .tasks import ConfigImages, Task
from .text_quality import class_pattern, distances, names_in, repeated
from .zero_shot_eval import accuracies, embed_by_image, text_tower

SHOWN = 40  # images listed that lie farthest from their class
_STATUSES = ('refused', 'short', 'long', 'truncated')


@dataclass(frozen=True)
class Check:
    """What :func:`check` found; its text is the table of the terminal.

    Attributes:
        figures: JSON-able: ``file``, ``prompt``, ``fingerprint`` of the descriptions, ``classes``
            and ``all``, each with counts and ``shares`` in [0, 1]; ``accuracies`` on ``split``, see
            :func:`~.zero_shot_eval.accuracies`; ``suspects``, the number of images that are nearer
            to another class's mean than to their own; the first of them (``outliers``).
        farthest: The images that lie farthest from their class, as ``outliers``, with ``path`` and
            ``texts``.
    """

    figures: dict[str, Any]
    farthest: list[dict[str, Any]]

    def __str__(self) -> str:
        classes = self.figures['classes']
        width = max(len('class'), *(len(each['name']) for each in classes))
        heads = (*_STATUSES, 'failed', 'own name', 'other', 'repeated', 'nearer')
        lines = [f'{"class":{width}} images asked ' + ' '.join(f'{h:>9}' for h in heads)]
        for each in classes:
            shares = ' '.join(f'{100 * share:8.1f}%' for share in each['shares'].values())
            lines.append(f'{each["name"]:{width}} {each["images"]:6} {each["asked"]:5} {shares}')
        lines.append(
            'images with descriptions nearer to another class (wrong labels are among such): '
            f'{self.figures["suspects"]}'
        )
        near = self.figures['outliers'][:5]
        lines += [f'{each["image"]}: {each["label"]}, nearer to {each["nearest"]}' for each in near]
        return '\n'.join([*lines, self.without_training()])

    def without_training(self) -> str:
        """A line for each accuracy without training, or why there is none."""
        split = self.figures['split']
        lines = [
            f'{100 * a["value"]:.1f} % ({100 * a["low"]:.1f} to {100 * a["high"]:.1f}) of '
            f'{a["images"]} {split} images by {a["texts"]}, without training'
            for a in self.figures['accuracies']
        ]
        return '\n'.join(lines) or f'no accuracy without training: {split}'

    def html(self) -> str:
        """A page that needs nothing beside it: every value escaped, the images in it."""
        images = [thumbnail(*os.path.split(each['path']), 240) for each in self.farthest]
        farthest = list(zip(self.farthest, images, strict=True))
        return plain(render_page(__package__, 'check.html', found=self.figures, farthest=farthest))

    def write(self, page: Path, figures: Path) -> None:
        """Write the page and the figures, each whole or not at all."""
        for path, content in ((page, self.html().encode()), (figures, sealed(self.figures))):
            with save_atomic(path) as file:
                file.write(content)


def check(
    config: Config, images: ConfigImages, file: Path, prompt: str, clip: str | None = None
) -> Check:
    """Look at the descriptions of some images, by what was asked for them.

    Args:
        config: Its backbone and text tower embed, unless ``clip`` (MODEL,WEIGHTS) does.
        images: Of a split with labels.
        file: Their descriptions.
        prompt: One of its prompts.

    Raises:
        InputError: Classes have no names, no image is described, or there is no text tower.
    """
    if not images.classes:
        raise InputError(
            'descriptions cannot be checked: the data set has no class names',
            code='describe.no_classes',
        )
    store = DescriptionStore(file)
    tasks = [task for task in images if task.label is not None]
    records = {task.image: record for task in tasks if (record := store.record(task.image, prompt))}
    described = [t for t in tasks if t.image in records and records[t.image]['descriptions']]
    if not described:
        raise InputError(
            f'{file} has no description of these images by {prompt!r}',
            code='describe.no_descriptions',
        )
    tower = text_tower(config, clip)
    texts = [records[task.image]['descriptions'] for task in described]
    counts = count_by_class(tasks, records, images.classes)
    means, sizes = embed_by_image(texts, tower)
    farthest = by_distance(described, texts, means, sizes, images.classes)
    near = [each for each in farthest if each['ratio'] > 1]
    for name, count in zip(images.classes, counts, strict=True):
        count['nearer'] = sum(each['label'] == name for each in near)
    typical = {each['label']: each['typical'] for each in farthest}
    untrained, split = accuracies(config, described, means, sizes, images.classes, tower, clip)
    named = zip(images.classes, counts, strict=True)
    keys = ('image', 'label', 'nearest', 'ratio', 'spread')
    figures = dict(
        file=str(file),
        prompt=prompt,
        fingerprint=store.fingerprint,
        classes=[_class_figures(name, n, typical.get(name, 0.0)) for name, n in named],
        all=_class_figures('all', sum(counts, Counter()), 0.0),
        accuracies=untrained,
        split=split,
        suspects=len(near),
        outliers=[{key: each[key] for key in keys} for each in near[:SHOWN]],
    )
    return Check(figures, farthest[:SHOWN])


def _class_figures(name: str, n: Counter[str], distance: float) -> dict[str, Any]:
    """Counts of a class, and shares: of the images asked about, the texts, the described images."""
    asked, texts = max(n['asked'], 1), max(n['texts'], 1)
    shares = {status: n[status] / asked for status in _STATUSES}
    shares |= {
        'failed': (n['empty'] + n['error']) / asked,
        'own name': n['own'] / texts,
        'other name': n['other'] / texts,
        'repeated': n['repeats'] / texts,
        'nearer to another': n['nearer'] / max(n['described'], 1),
    }
    counts = {key: n[key] for key in ('images', 'asked', 'described', 'texts')}
    return {'name': name, **counts, 'distance': distance, 'shares': shares}


def count_by_class(
    tasks: Sequence[Task], records: dict[str, Record], names: Sequence[str]
) -> list[Counter[str]]:
    """For each class the numbers of ``images``, those ``asked`` about, those of each status, those
    ``described``; of ``texts``, those that name the ``own`` or an ``other`` class, ``repeats``."""
    counts = [Counter[str]() for _ in names]
    patterns = [class_pattern(name) for name in names]
    found: list[tuple[int, str]] = []
    for task in tasks:
        label = task.label or 0
        n, record = counts[label], records.get(task.image)
        n['images'] += 1
        if record is None:
            continue
        n.update(['asked', record['status']] + ['described'] * bool(record['descriptions']))
        for text in record['descriptions']:
            named = set(names_in(text, patterns))
            n.update(['texts'] + ['own'] * (label in named) + ['other'] * bool(named - {label}))
            found.append((label, text))
    for (label, _), again in zip(found, repeated([text for _, text in found]), strict=True):
        counts[label]['repeats'] += again
    return counts


def by_distance(
    described: Sequence[Task],
    texts: Sequence[list[str]],
    means: NDArray,
    sizes: NDArray,
    names: Sequence[str],
) -> list[dict[str, Any]]:
    """The images by their distance from their class; none with a single described class.

    Each has its ``image``, ``path``, ``texts``, ``label`` and ``nearest`` other class; the
    ``ratio`` of its distances to them; its class's median distance (``typical``), and the distance
    by that (``spread``).
    """
    present, labels = np.unique([task.label or 0 for task in described], return_inverse=True)
    if len(present) < 2:
        return []
    own, other, nearest = distances(means, sizes, labels)
    ratio = own / np.maximum(other, 1e-12)
    typical = np.array([np.median(own[labels == i]) for i in range(len(present))])[labels]
    spread = own / np.maximum(typical, 1e-12)
    return [
        dict(
            image=described[i].image,
            path=described[i].path,
            texts=texts[i],
            label=names[present[labels[i]]],
            nearest=names[present[nearest[i]]],
            ratio=float(ratio[i]),
            typical=float(typical[i]),
            spread=float(spread[i]),
        )
        for i in np.argsort(-ratio, kind='stable')
    ]
