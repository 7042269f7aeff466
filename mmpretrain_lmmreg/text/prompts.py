"""Texts made from class names."""

from collections.abc import Sequence

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
        raise InputError(f'templates={templates!r} must be a list of texts, such as {TEMPLATES}')
    for template in templates:
        if template.count('{}') != 1:
            raise InputError(f'the template {template!r} must hold one {{}} for the class name')
    names = [readable_name(name) for name in classes]
    return [[template.replace('{}', name) for template in templates] for name in names]
