"""Sentences about classes: the LMM's own of their images, or an LLM's from a file."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

from ..datasets.names import bare_name, readable_name
from ..datasets.samples import iter_infos, transforms_of
from ..descriptions import AttachDescriptions
from ..errors import InputError, MissingInputError


def collect_descriptions(dataset, num_classes: int) -> tuple[list[str], list[Counter]]:
    """Unique texts of a training set, and how often each occurs in each class.

    Returns:
        U texts in the order of first use, and for each class a Counter of indices into them.
    """
    attach = next((t for t in transforms_of(dataset) if isinstance(t, AttachDescriptions)), None)
    if attach is None:
        raise InputError(
            "descriptions are needed: put dict(type='AttachDescriptions') into the train pipeline, "
            'or set model.head.alpha=0 where only class means would need them'
        )
    index: dict[str, int] = {}
    counts: list[Counter[int]] = [Counter() for _ in range(num_classes)]
    images = described = 0
    for info in iter_infos(dataset):
        label = info['gt_label']
        if not isinstance(label, int) or not 0 <= label < num_classes:
            raise InputError(
                f"{info['img_path']} has label {label}, the head's num_classes is {num_classes}"
            )
        texts = attach.lookup(info)
        images, described = images + 1, described + bool(texts)
        counts[label].update(index.setdefault(text, len(index)) for text in texts)
    total = sum(sum(counter.values()) for counter in counts)
    print_log(
        f'{described} of {images} training images have descriptions: {total} texts, '
        f'{len(index)} of them different',
        'current',
    )
    return list(index), counts


def without_names(
    texts: list[str], counts: list[Counter], classes: Sequence[str]
) -> tuple[list[str], list[Counter]]:
    """The texts with their class's name cut out, a control: do they say more than the name?

    Every word goes that begins as a word of the name does, '-ing' left out: of 'pole vaulting',
    'poles' and 'vaulter', too. A text in which nothing is left is dropped.

    Args:
        texts, counts: As of :func:`collect_descriptions`.
        classes: N_c names.
    """
    index: dict[str, int] = {}
    cut: list[Counter[int]] = [Counter() for _ in classes]
    for c, (name, counter) in enumerate(zip(classes, counts, strict=True)):
        stems = [word.removesuffix('ing') for word in readable_name(name).casefold().split()]
        pattern = re.compile(rf'\b({"|".join(map(re.escape, stems))})\w*', re.IGNORECASE)
        for i, count in counter.items():
            text = ' '.join(pattern.sub(' ', texts[i]).split())
            if re.search(r'\w', text):
                cut[c][index.setdefault(text, len(index))] += count
    return list(index), cut


def read_sentences(file: str) -> dict[str, list[str]]:
    """A JSON file {class: [sentence, ...]}, by the letters and digits of the classes' names.

    So classes are found whatever their case, spaces and punctuation.

    Raises:
        MissingInputError, InputError: no such file; not of that form.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise MissingInputError(
            f'no file {file}: give model.head.sentences a JSON file {{class: '
            '[sentence, ...]}, or None for the descriptions'
        )
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        lists = list(found.values())
        good = all(isinstance(each, list) for each in lists)
        good = good and all(isinstance(text, str) for each in lists for text in each)
    except (ValueError, AttributeError):
        good = False
    if not good:
        raise InputError(f'{file} is not a JSON file of the form {{class: [sentence, ...]}}')
    return {bare_name(name): sentences for name, sentences in found.items()}
