"""Class names: how they are matched, compared and made readable."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from .files import some_of

# Marks that show nothing: of width zero, or that turn the direction of a line. The two joiners
# (U+200C, U+200D) are letters' shapes in some scripts, and stay between letters that are not ASCII.
_INVISIBLE = re.compile(
    '[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]'
    '|(?<![^\\x00-\\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\\x00-\\x7f])'
)


def nfc(name: str) -> str:
    """The name in Unicode's composed form: macOS writes decomposed file names."""
    return unicodedata.normalize('NFC', name)


def check_visible(name: str, where: str) -> None:
    """Raise InputError for a class name that is blank, or holds what nobody can see."""
    control = any(unicodedata.category(letter) in ('Cc', 'Cs', 'Zl', 'Zp') for letter in name)
    if not name.strip() or control or _INVISIBLE.search(name):
        raise InputError(
            f'{where}: the class name {ascii(name)} is blank or holds invisible characters; '
            'correct it',
            code='data.invisible_name',
        )


def bare_name(name: str) -> str:
    """Letters and digits alone, in lower case: 'Traffic_Collision' -> 'trafficcollision'."""
    return ''.join(letter for letter in name.lower() if letter.isalnum())


def readable_name(name: str) -> str:
    """Turn a folder or label into words: '012.Polar_bear' -> 'Polar bear', 'YoYo' -> 'Yo Yo'."""
    name = re.sub(r'^\d+\.(?=\D)', '', name.strip())
    name = re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', name)
    return ' '.join(name.replace('_', ' ').split()) or name


def prompt_names(metainfo: Mapping[str, Any]) -> tuple[str, ...]:
    """What a data set's classes are called in prompts: as it says, else its classes readable."""
    given = metainfo.get('prompt_names')
    return tuple(given or map(readable_name, metainfo.get('classes') or ()))


def match_folders(folders: list[str], classes: tuple[str, ...], where: str) -> dict[str, int]:
    """Map folder names to labels, whatever their case, spaces and punctuation.

    Folders that match no class, or a class twice, raise InputError.
    """
    labels = {bare_name(name): label for label, name in enumerate(classes)}
    found = {folder: labels[bare_name(folder)] for folder in folders if bare_name(folder) in labels}
    if len(found) < len(folders):
        raise InputError(
            f'{where} has folders that are no class: '
            f'{some_of([folder for folder in folders if folder not in found])}. '
            f'The classes are {", ".join(classes)}.',
            code='data.unknown_label',
        )
    if len(set(found.values())) < len(found):
        raise InputError(
            f'{where} has two folders for one class among: {", ".join(folders)}',
            code='data.similar_labels',
        )
    return found


def check_same_classes(trained: Sequence[str], data: Sequence[str], what: str) -> str:
    """Compare the class names that a checkpoint was trained with and those of data, by label.

    Returns:
        A warning where names differ without having changed places, or ''.

    Raises:
        InputError: a class has another label in the data than in the checkpoint.
    """
    if not trained or not data:
        return ''
    place = {name: label for label, name in enumerate(data)}
    moved = [(name, label) for label, name in enumerate(trained) if place.get(name, label) != label]
    if moved:
        name, label = moved[0]
        raise InputError(
            f'{what}: class {name!r} is number {label} in the checkpoint, but {place[name]} in the '
            f'data ({len(moved)} such classes): these are other data, or classes were added, '
            'renamed or taken away since training; give the data `classes` in the order of the '
            'checkpoint, or train again',
            code='data.moved_classes',
        )
    pairs = [pair for pair in zip(trained, data, strict=False) if pair[0] != pair[1]]
    if not pairs:
        return ''
    return (
        f'{what}: {len(pairs)} classes have other names in the data than in the checkpoint, '
        f'{pairs[0][1]!r} for {pairs[0][0]!r}'
    )
