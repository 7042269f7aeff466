"""Sentences about classes: from a file that an LLM wrote, or the LMM's own of the images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..datasets.names import bare_name
from ..errors import InputError, MissingInputError
from .hook import collect_descriptions, embed_together
from .tower import TextTower


def class_sentences(dataset: Any, file: str | None = None) -> list[list[str]]:
    """Sentences of each of a data set's classes, as often as they occur.

    Args:
        dataset: Of the training images; its pipeline has ``AttachDescriptions`` unless ``file``.
        file: JSON, {class: [sentence, ...]}; classes are found whatever their case, spaces and
            punctuation. By default the descriptions of the images.

    Raises:
        MissingInputError, InputError: no such file; not of that form; a class without sentences.
    """
    classes = dataset.metainfo['classes']
    if file:
        found = read_sentences(file)
        sentences = [found.get(bare_name(name), []) for name in classes]
    else:
        texts, counts = collect_descriptions(dataset, len(classes))
        sentences = [[texts[i] for i in counter.elements()] for counter in counts]
    missing = [name for name, own in zip(classes, sentences, strict=True) if not own]
    if missing:
        raise InputError(
            f'{file or "the descriptions of the training images"}: no sentences of '
            f'the classes {", ".join(missing)}'
        )
    return sentences


def read_sentences(file: str) -> dict[str, list[str]]:
    """A file of :func:`class_sentences`, by the letters and digits of the classes' names."""
    path = Path(file).expanduser()
    if not path.is_file():
        raise MissingInputError(
            f'no file {file}: give model.head.sentences a JSON file {{class: '
            '[sentence, ...]}, or None for the descriptions'
        )
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        lists = found.values()
        good = all(isinstance(own, list) and all(isinstance(s, str) for s in own) for own in lists)
    except (ValueError, AttributeError):
        good = False
    if not good:
        raise InputError(f'{file} is not a JSON file of the form {{class: [sentence, ...]}}')
    return {bare_name(name): own for name, own in found.items()}


def embed_sentences(sentences: Sequence[Sequence[str]], tower: TextTower) -> list[Tensor]:
    """Embeddings of each class's sentences, (S_c, D), computed once and kept on disk."""
    texts = list(dict.fromkeys(text for own in sentences for text in own))
    embeddings, row = embed_together(texts, tower), {text: i for i, text in enumerate(texts)}
    return [embeddings[[row[text] for text in own]] for own in sentences]
