"""Texts made from class names."""

from collections import Counter
from collections.abc import Iterable, Sequence

from ..datasets.names import readable_name
from ..errors import InputError

TEMPLATES = ('a photo of a {}.',)


def class_prompts(classes: Sequence[str], templates: Sequence[str] = TEMPLATES) -> list[list[str]]:
    """Prompts of each class: its readable name in every template, in the templates' order.

    Args:
        classes: N_c names; 'CliffDiving' and 'Cliff_Diving' read 'Cliff Diving'.
        templates: Texts with one ``{}``; CLIP's general one by default.

    Raises:
        InputError: no templates, or one without exactly one ``{}``.
    """
    if isinstance(templates, str) or not templates:
        raise InputError(
            f'templates={templates!r} must be a list of texts, such as {TEMPLATES}',
            code='text.templates',
        )
    for template in templates:
        if template.count('{}') != 1:
            raise InputError(
                f'the template {template!r} must hold one {{}} for the class name',
                code='text.templates',
            )
    names = [readable_name(name) for name in classes]
    return [[template.replace('{}', name) for template in templates] for name in names]


def count_texts(texts: Iterable[Iterable[str]]) -> tuple[list[str], list[Counter]]:
    """Unique texts of all classes, and for each class a Counter of indices into them."""
    index: dict[str, int] = {}
    counts = [Counter(index.setdefault(text, len(index)) for text in each) for each in texts]
    return list(index), counts
