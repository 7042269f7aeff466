"""What a descriptions file is worth: by class, by image, and as a classifier without training."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from ..descriptions.lines import Record
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from .tasks import ConfigImages, Task
from .text_quality import Share, class_pattern, distances, names_in, repeated
from .zero_shot_eval import accuracies, embed_by_image, lines_of, text_tower

SHOWN = 40  # images listed that lie farthest from their class

SHOWN_STATUSES = ('refused', 'short', 'long', 'truncated')


@dataclass
class ClassCheck:
    """Counts of one class."""

    name: str
    images: int = 0
    asked: int = 0  # images that were asked about
    described: int = 0
    statuses: Counter = field(default_factory=Counter)  # of the images asked about
    texts: int = 0
    own: int = 0  # texts that name the class
    other: int = 0  # texts that name another class
    repeats: int = 0  # texts that are near-duplicates of another of all texts
    distance: float = 0.0  # median distance of an image's texts to the class's mean
    nearer: int = 0  # images whose texts are nearer to another class's mean


@dataclass
class Outlier:
    """An image whose descriptions lie far from those of its class."""

    image: str
    path: str
    label: str
    nearest: str
    ratio: float  # distance to its class's mean by that to the nearest other one
    spread: float  # distance to its class's mean by the class's median
    texts: list[str]


@dataclass
class Check:
    """What :func:`check` found; its text is the table of the terminal."""

    file: Path
    prompt: str
    classes: list[ClassCheck]
    outliers: list[Outlier]
    suspects: int  # images that are nearer to another class's mean than to their own
    accuracies: dict[str, Share]  # without training, by names, descriptions, both
    split: str  # that was classified, or why none was

    def __str__(self) -> str:
        width = max(len('class'), *(len(each.name) for each in self.classes))
        heads = (*SHOWN_STATUSES, 'failed', 'own name', 'other', 'repeated', 'nearer')
        lines = [f'{"class":{width}} images asked ' + ' '.join(f'{h:>9}' for h in heads)]
        for each in self.classes:
            shares = ' '.join(f'{100 * share:8.1f}%' for share in shares_of(each).values())
            lines.append(f'{each.name:{width}} {each.images:6} {each.asked:5} {shares}')
        lines.append(
            'images with descriptions nearer to another class (wrong labels are among such): '
            f'{self.suspects}'
        )
        lines += [
            f'{image.image}: {image.label}, reads like {image.nearest}'
            for image in self.outliers[:5]
            if image.ratio > 1
        ]
        return '\n'.join([*lines, lines_of(self.accuracies, self.split)])


def shares_of(each: ClassCheck) -> dict[str, float]:
    """Shares of the images asked about by status, of the texts, and of the described images."""
    asked, texts = max(each.asked, 1), max(each.texts, 1)
    failed = each.statuses['empty'] + each.statuses['error']
    return {
        **{name: each.statuses[name] / asked for name in SHOWN_STATUSES},
        'failed': failed / asked,
        'own name': each.own / texts,
        'other name': each.other / texts,
        'repeated': each.repeats / texts,
        'nearer to another': each.nearer / max(each.described, 1),
    }


def check(
    config: Config, images: ConfigImages, file: Path, prompt: str, clip: str | None = None
) -> Check:
    """Look at the descriptions of some images, by what was asked for them.

    Args:
        config: Its text tower embeds, unless ``clip`` (MODEL,WEIGHTS) does.
        images: Of a split with labels.
        file: Their descriptions.
        prompt: One of its prompts.

    Raises:
        InputError: Classes have no names, no image is described, or there is no text tower.
    """
    if not images.classes:
        raise InputError('--check: the data set has no class names', code='describe.not_classified')
    store = DescriptionStore(file)
    tasks = [task for task in images if task.label is not None]
    records = {task.image: record for task in tasks if (record := store.record(task.image, prompt))}
    described = [t for t in tasks if t.image in records and records[t.image]['descriptions']]
    if not described:
        raise InputError(
            f'--check: {file} has no description of these images by {prompt!r}',
            code='describe.no_descriptions',
        )
    tower = text_tower(config, clip)
    texts = [records[task.image]['descriptions'] for task in described]
    classes = count_by_class(tasks, records, images.classes)
    means, sizes = embed_by_image(texts, tower)
    outliers, suspects = find_outliers(described, texts, means, sizes, classes)
    untrained, split = accuracies(config, described, means, sizes, images.classes, tower, clip)
    return Check(file, prompt, classes, outliers, suspects, untrained, split)


def count_by_class(
    tasks: Sequence[Task], records: dict[str, Record], names: Sequence[str]
) -> list[ClassCheck]:
    """Counts of statuses and of texts, for each class."""
    classes = [ClassCheck(name) for name in names]
    patterns = [class_pattern(name) for name in names]
    labels: list[int] = []
    texts: list[str] = []
    for task in tasks:
        label = task.label or 0
        each, record = classes[label], records.get(task.image)
        each.images += 1
        if record is None:
            continue
        each.asked += 1
        each.statuses[record['status']] += 1
        each.described += bool(record['descriptions'])
        for text in record['descriptions']:
            found = names_in(text, patterns)
            each.own += label in found
            each.other += bool(set(found) - {label})
            labels.append(label)
            texts.append(text)
    for label, again in zip(labels, repeated(texts), strict=True):
        classes[label].texts += 1
        classes[label].repeats += again
    return classes


def find_outliers(
    described: Sequence[Task],
    texts: Sequence[list[str]],
    means: NDArray,
    sizes: NDArray,
    classes: Sequence[ClassCheck],
) -> tuple[list[Outlier], int]:
    """The images farthest from their class, and how many are nearer to another one.

    Distances are put into ``classes``, too. With a single described class there are none.
    """
    names, labels = np.unique([task.label or 0 for task in described], return_inverse=True)
    if len(names) < 2:
        return [], 0
    found = distances(means, sizes, labels)
    typical = np.array([np.median(found.own[labels == i]) for i in range(len(names))])
    for i, label in enumerate(names):
        classes[label].distance = float(typical[i])
        classes[label].nearer = int((found.ratio[labels == i] > 1).sum())
    outliers = [
        Outlier(
            described[i].image,
            described[i].path,
            classes[names[labels[i]]].name,
            classes[names[found.nearest[i]]].name,
            float(found.ratio[i]),
            float(found.own[i] / max(typical[labels[i]], 1e-12)),
            texts[i],
        )
        for i in np.argsort(-found.ratio, kind='stable')[:SHOWN]
    ]
    return outliers, int((found.ratio > 1).sum())
