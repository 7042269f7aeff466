"""Sentences about classes: the LMM's own of their images, or an LLM's from a file."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from ..datasets.names import bare_name, nfc
from ..datasets.samples import iter_infos, transforms_of
from ..descriptions import AttachDescriptions
from ..errors import InputError, MissingInputError
from ..io.files import parse_json, wrong_part
from .class_means import named_empty


def collect_descriptions(dataset, num_classes: int) -> tuple[list[str], list[Counter]]:
    """Unique texts of a training set, and how often each occurs in each class.

    Images without descriptions are left out, and the log says how many.

    Returns:
        U texts in the order of first use, and for each class a Counter of indices into them.

    Raises:
        InputError: no ``AttachDescriptions``, or an image that it refuses; some classes have
            descriptions and others have none, by name.
    """
    attach = attach_of(dataset, 'descriptions of the training images are needed')
    index: dict[str, int] = {}
    counts: list[Counter[int]] = [Counter() for _ in range(num_classes)]
    images, described, unasked = [0] * num_classes, [0] * num_classes, 0
    for info in iter_infos(dataset):
        label = info['gt_label']
        if not isinstance(label, int) or not 0 <= label < num_classes:
            raise InputError(
                f"{info['img_path']} has label {label}, the head's num_classes is {num_classes}: "
                'set model.head.num_classes to the number of classes',
                code='heads.other_class_count',
            )
        texts = attach.find(info)
        images[label] += 1
        described[label] += bool(texts)
        unasked += texts is None  # never described; others were refused or failed
        counts[label].update(index.setdefault(text, len(index)) for text in texts or ())
    total = sum(sum(counter.values()) for counter in counts)
    warned = unasked and attach.missing == 'warn'
    print_log(
        f'{_coverage(images, described, unasked)}: {total} texts, {len(index)} of them different',
        'current',
        level=logging.WARNING if warned else logging.INFO,
    )
    # where they are skipped, there may be none, on purpose
    if not all(described) and (index or attach.missing != 'skip'):
        names = named_empty(described, dataset.metainfo.get('classes'))
        by = ' by a prompt with {class}' * attach.named
        option = " --prompt '... {class} ...'" * attach.named
        raise InputError(
            f'no training image of class {names} has a description{by}, so it has no class '
            'mean: describe some images of each class (mmpretrain-lmmreg describe CONFIG '
            f'--per-class N{option})',
            code='text.class_not_described',
        )
    return list(index), counts


def without_names(
    texts: list[str], counts: list[Counter], classes: Sequence[str]
) -> tuple[list[str], list[Counter]]:
    """The texts with their class's name cut out, a control: do they say more than the name?

    Every word goes that begins as a word of the name does, '-ing' behind a vowel left out: of 'pole
    vaulting', 'poles' and 'vaulter', too; of 'swing', no 'sweater'. A text in which nothing is left
    is dropped.

    Args:
        texts, counts: As of :func:`collect_descriptions`.
        classes: N_c names.
    """
    index: dict[str, int] = {}
    cut: list[Counter[int]] = [Counter() for _ in classes]
    for c, (name, counter) in enumerate(zip(classes, counts, strict=True)):
        words = re.findall(r'\w+', name.casefold()) or [name]
        stems = [re.sub(r'([aeiouy].*)ing$', r'\1', word) for word in words]
        pattern = re.compile(rf'\b({"|".join(map(re.escape, stems))})\w*', re.IGNORECASE)
        for i, count in counter.items():
            text = ' '.join(pattern.sub(' ', texts[i]).split())
            if re.search(r'\w', text):
                cut[c][index.setdefault(text, len(index))] += count
    return list(index), cut


def _coverage(images: Sequence[int], described: Sequence[int], unasked: int) -> str:
    """How many images have descriptions, in all and of each class."""
    total, found = sum(images), sum(described)
    shown = f'{found} of {total} training images have descriptions'
    if found == total or not found:
        return shown
    least, most = min(described), max(described)
    each = f'{least}' if least == most else f'{least} to {most}'
    share = f'{100 * found / total:.1f} %'
    return f'{shown} ({share}, {each} of each class; {unasked} were never described)'


def attach_of(dataset: Any, why: str) -> AttachDescriptions:
    """The ``AttachDescriptions`` of a data set's pipeline; ``why`` says what needs it.

    Raises:
        InputError: There is none.
    """
    found = next((t for t in transforms_of(dataset) if isinstance(t, AttachDescriptions)), None)
    if found is None:
        raise InputError(
            f"{why}: put dict(type='AttachDescriptions') into the pipeline of each data set that "
            'is described, or choose a method without descriptions (model.head.alpha=0)',
            code='text.no_attach',
        )
    return found


def read_sentences(file: str, classes: Sequence[str]) -> list[list[str]]:
    """Sentences of each class in a JSON file {class: [sentence, ...]}.

    A class is found by its exact name, else by letters and digits alone, whatever case, spaces and
    punctuation.

    Raises:
        InputError: no such file, or one of another form; a class without sentences, or without its
            exact name where its letters are those of several names ('C', 'C#').
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise MissingInputError(
            f'no file {file}: give model.head.sentences a JSON file {{class: '
            '[sentence, ...]}, or None for the descriptions',
            code='text.no_sentences_file',
        )
    found = parse_json(path.read_bytes(), path)
    if wrong := wrong_part(found, {str: [str]}):
        raise InputError(
            f'{file} is not a JSON file of the form {{class: [sentence, ...]}}: {wrong}',
            code='text.sentences_form',
        )
    exact = {nfc(name): sentences for name, sentences in found.items()}
    alike: dict[str, list[str]] = defaultdict(list)
    for name in exact:
        alike[bare_name(name)].append(name)
    sentences = []
    for name in classes:
        same = alike.get(bare_name(name), [])
        if nfc(name) not in exact and len(same) > 1:
            raise InputError(
                f'{file}: {", ".join(map(repr, same))} all have the letters of the class {name!r}: '
                f'write {name!r} itself',
                code='text.same_letters',
            )
        sentences.append(exact.get(nfc(name)) or (exact[same[0]] if len(same) == 1 else []))
    return require_each(sentences, classes, file)


def require_each(sentences: list[list[str]], classes: Sequence[str], where: str) -> list[list[str]]:
    """The sentences of each class; raises InputError where some have none, by name."""
    empty = [name for name, each in zip(classes, sentences, strict=True) if not each]
    if empty:
        raise InputError(
            f'{where}: no sentences of the classes {", ".join(empty)}; add some of each',
            code='text.class_without_sentences',
        )
    return sentences
