"""The quality of descriptions: plain functions on texts and arrays."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORDS = re.compile(r"[\w']+")
_ARTICLES = {'a', 'an', 'the'}


def gist(text: str) -> tuple[str, ...]:
    """A text's words in alphabetic order, without case, punctuation and articles.

    Texts of one gist are near-duplicates.
    """
    return tuple(sorted(set(_WORDS.findall(text.casefold())) - _ARTICLES))


def repeated(texts: Sequence[str]) -> list[bool]:
    """Whether each text is a near-duplicate of another one in the list."""
    gists = [gist(text) for text in texts]
    counts = Counter(gists)
    return [counts[each] > 1 for each in gists]


def class_pattern(name: str) -> re.Pattern:
    """A class name in a sentence: ``ApplyEyeMakeup`` is 'apply eye makeup', any case."""
    spaced = re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', name)
    words = [re.escape(word) for word in re.split(r'[\s_/-]+', spaced) if word]
    return re.compile(r'\b' + r'[\s-]?'.join(words) + r'\b', re.IGNORECASE)


def names_in(text: str, patterns: Sequence[re.Pattern]) -> list[int]:
    """Labels of the classes whose name occurs in a text.

    A name within a longer one that occurs at the same place ('vaulting' in 'pole vaulting') is
    not counted.
    """
    spans = [(m.start(), -m.end(), i) for i, p in enumerate(patterns) for m in p.finditer(text)]
    found: set[int] = set()
    reach, before = -1, (0, 1)  # the end of what began before, and the place before this one
    for start, end, label in sorted(spans):
        if before != (start, end):
            reach, before = max(reach, -before[1]), (start, end)
        if -end > reach:
            found.add(label)
    return sorted(found)


def distances(means: NDArray, texts: NDArray, labels: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Distances of images to class means, each image left out of the mean of its own class.

    Args:
        means: Mean text embedding of each image, (I, D).
        texts: Number of texts of each, (I,).
        labels: (I,), 0 to N_c - 1, each class with an image.

    Returns:
        Distance to its class's mean, 0 for a class's only image; distance to the nearest mean of
        another class; that class. (I,) each.
    """
    rows = np.arange(len(labels))
    one_hot = np.eye(int(labels.max()) + 1)[labels]
    sums, totals = one_hot.T @ (texts[:, None] * means), one_hot.T @ texts
    centres = sums / totals[:, None]
    rest = totals[labels] - texts
    without = (sums[labels] - texts[:, None] * means) / np.where(rest > 0, rest, 1)[:, None]
    own = np.where(rest > 0, np.linalg.norm(means - without, axis=1), 0.0)
    squared = (means**2).sum(1)[:, None] - 2 * means @ centres.T + (centres**2).sum(1)
    squared[rows, labels] = np.inf
    nearest = squared.argmin(1)
    return own, np.sqrt(np.maximum(squared[rows, nearest], 0)), nearest
