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
    return [[template.replace('{}', name) for template in templates] for name in classes]


def show_prompts(prompts: Sequence[Sequence[str]], most: int = 10) -> str:
    """The first prompt of each class, or of many classes the first and three with odd letters."""
    first = [repr(each[0]) for each in prompts]
    if len(first) <= most:
        return ', '.join(first)
    odd = sorted(first[1:], key=lambda text: sum(not c.islower() for c in text if c != ' '))
    return ', '.join([first[0], *odd[:-4:-1]]) + f' and {len(first) - 4} more'


def count_texts(texts: Iterable[Iterable[str]]) -> tuple[list[str], list[Counter]]:
    """Unique texts of all classes, and for each class a Counter of indices into them."""
    index: dict[str, int] = {}
    counts = [Counter(index.setdefault(text, len(index)) for text in each) for each in texts]
    return list(index), counts
