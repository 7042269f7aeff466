"""Texts made from class names."""

from collections import Counter
from collections.abc import Iterable, Sequence

from ..errors import InputError

TEMPLATES = ('a photo of a {}.',)


def class_prompts(classes: Sequence[str], templates: Sequence[str] = TEMPLATES) -> list[list[str]]:
    """Prompts of each class: its name, exactly, in every template, in the templates' order.

    Args:
        classes: N_c names; those of a data set by
            :func:`~mmpretrain_lmmreg.datasets.names.prompt_names`.
        templates: Texts with one ``{}``; CLIP's general one by default.

    Raises:
        InputError: no templates, or one without exactly one ``{}``.
    """
    one_each = templates and all(template.count('{}') == 1 for template in templates)
    if isinstance(templates, str) or not one_each:
        raise InputError(
            f'templates={templates!r} must be a list of texts with one {{}} each for the class '
            f'name, such as {TEMPLATES}',
            code='text.templates',
        )
    return [[template.replace('{}', name) for template in templates] for name in classes]


def count_texts(texts: Iterable[Iterable[str]]) -> tuple[list[str], list[Counter]]:
    """Unique texts of all classes, and for each class a Counter of indices into them."""
    index: dict[str, int] = {}
    counts = [Counter(index.setdefault(text, len(index)) for text in each) for each in texts]
    return list(index), counts
