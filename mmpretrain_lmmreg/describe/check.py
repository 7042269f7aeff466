"""The quality of a descriptions file: by class, by image, and as a classifier without training."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from mmengine.config import Config
from numpy.typing import NDArray

from ..datasets.files import thumbnail
from ..descriptions.lines import Record
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..io.files import save_atomic, sealed
from ..io.printing import plain
from .tasks import ConfigImages, Task
from .text_quality import Share, class_pattern, distances, names_in, repeated
from .zero_shot_eval import accuracies, embed_by_image, text_tower

SHOWN = 40  # images listed that lie farthest from their class
_STATUSES = ('refused', 'short', 'long', 'truncated')
_COUNTS = ('images', 'asked', 'described', 'texts', 'own', 'other', 'repeats', 'nearer')


@dataclass
class ClassCheck:
    """Counts of one class, or of all where they are added up."""

    name: str
    images: int = 0
    asked: int = 0  # images that were asked about
    described: int = 0
    statuses: Counter[str] = field(default_factory=Counter)  # of the images asked about
    texts: int = 0
    own: int = 0  # texts that name the class
    other: int = 0  # texts that name another class
    repeats: int = 0  # texts that are near-duplicates of another of all texts
    distance: float = 0.0  # median distance of an image's texts to the class's mean
    nearer: int = 0  # images whose texts are nearer to another class's mean

    def __add__(self, other: 'ClassCheck') -> 'ClassCheck':
        counts = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        return ClassCheck(self.name, statuses=self.statuses + other.statuses, **counts)

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the images asked about by status, of the texts, and of the described images."""
        asked, texts = max(self.asked, 1), max(self.texts, 1)
        failed = self.statuses['empty'] + self.statuses['error']
        return {
            **{name: self.statuses[name] / asked for name in _STATUSES},
            'failed': failed / asked,
            'own name': self.own / texts,
            'other name': self.other / texts,
            'repeated': self.repeats / texts,
            'nearer to another': self.nearer / max(self.described, 1),
        }

    @property
    def figures(self) -> dict[str, Any]:
        """Counts and shares, JSON-able."""
        counts = ('name', 'images', 'asked', 'described', 'texts', 'distance')
        return {**{key: getattr(self, key) for key in counts}, 'shares': self.shares}


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
        heads = (*_STATUSES, 'failed', 'own name', 'other', 'repeated', 'nearer')
        lines = [f'{"class":{width}} images asked ' + ' '.join(f'{h:>9}' for h in heads)]
        for each in self.classes:
            shares = ' '.join(f'{100 * share:8.1f}%' for share in each.shares.values())
            lines.append(f'{each.name:{width}} {each.images:6} {each.asked:5} {shares}')
        lines.append(
            'images with descriptions nearer to another class (wrong labels are among such): '
            f'{self.suspects}'
        )
        near = [each for each in self.outliers[:5] if each.ratio > 1]
        lines += [f'{each.image}: {each.label}, nearer to {each.nearest}' for each in near]
        return '\n'.join([*lines, self.without_training()])

    def without_training(self) -> str:
        """A line for each accuracy without training, or why there is none."""
        lines = [
            f'{share} of {share.total} {self.split} images by {name}, without training'
            for name, share in self.accuracies.items()
        ]
        return '\n'.join(lines) or f'no accuracy without training: {self.split}'

    def html(self) -> str:
        """A page that needs nothing beside it: every value escaped, the outliers' images in it."""
        environment = Environment(
            loader=PackageLoader(__package__),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        images = [thumbnail(*os.path.split(each.path), 240) for each in self.outliers]
        outliers = list(zip(self.outliers, images, strict=True))
        return plain(environment.get_template('check.html').render(found=self, outliers=outliers))

    def figures(self) -> dict[str, Any]:
        """What reports show, JSON-able.

        Returns:
            ``file``, ``prompt``, ``fingerprint`` of the descriptions, ``classes`` and ``all``,
            each with counts and ``shares`` in [0, 1]; ``accuracies`` (``texts``, ``images``,
            ``value`` and Wilson's ``low`` and ``high``) on ``split``, ``suspects``, and
            ``outliers`` nearer to another class than to their own.
        """
        accuracies = []
        for name, share in self.accuracies.items():
            low, high = share.interval
            accuracies.append(
                dict(low=low, high=high, texts=name, images=share.total, value=share.value)
            )
        near = [asdict(each) for each in self.outliers if each.ratio > 1]
        return dict(
            file=str(self.file),
            prompt=self.prompt,
            fingerprint=DescriptionStore(self.file).fingerprint,
            classes=[each.figures for each in self.classes],
            all=sum(self.classes, ClassCheck('all')).figures,
            accuracies=accuracies,
            split=self.split,
            suspects=self.suspects,
            outliers=[{k: v for k, v in e.items() if k not in ('path', 'texts')} for e in near],
        )

    def write(self, page: Path, figures: Path) -> None:
        """Write the page and the figures, each whole or not at all."""
        for path, content in ((page, self.html().encode()), (figures, sealed(self.figures()))):
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
    found: list[tuple[int, str]] = []
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
            named = names_in(text, patterns)
            each.own += label in named
            each.other += bool(set(named) - {label})
            found.append((label, text))
    for (label, _), again in zip(found, repeated([text for _, text in found]), strict=True):
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
