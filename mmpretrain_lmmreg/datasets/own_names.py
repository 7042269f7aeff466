"""What the classes of a person's own images are called."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from ..errors import InputError, MissingInputError
from .files import some_of
from .names import readable_name


def class_names_of(
    labels: Sequence[str], given: Mapping[str, str] | str, root: str | Path
) -> tuple[str, ...]:
    """Names of classes: the given ones, else the labels made readable.

    Args:
        labels: As folders or a list spell them.
        given: ``{label: name}`` for some or all labels, or a file of it: a JSON object, or a CSV
            with the columns label,name. '' for none.
        root: The file's folder, unless its path leads to it by itself.

    Raises:
        MissingInputError: there is no such file.
        InputError: a damaged file; a label that no image has; two classes of one name.
    """
    names = _read(Path(root), given) if isinstance(given, str) and given else dict(given or {})
    known = set(labels)
    unknown = [label for label in names if label not in known]
    if unknown:
        near = get_close_matches(unknown[0], labels, 1)
        hint = f'; did you mean {near[0]!r}?' if near else '.'
        raise InputError(
            f'class_names: no image has the label {some_of(unknown)}{hint} The labels are '
            f'{some_of(labels)}'
        )
    found = tuple(str(names.get(label) or readable_name(label)) for label in labels)
    same = sorted(name for name, count in Counter(found).items() if count > 1)
    if same:
        raise InputError(f'class_names: {some_of(same)} names more than one class')
    return found


def _read(root: Path, given: str) -> dict[str, str]:
    file = next((f for f in (root / given, Path(given)) if f.is_file()), None)
    if file is None:
        raise MissingInputError(f'class_names: no file {given!r}, neither in {root} nor by itself')
    text = file.read_text(encoding='utf-8-sig')
    if file.suffix.lower() == '.csv':
        rows = list(csv.DictReader(text.splitlines(), skipinitialspace=True))
        if not rows or not {'label', 'name'} <= set(rows[0]):
            raise InputError(f'{file} needs a first line label,name and a line for each class')
        return {row['label']: row['name'] for row in rows}
    try:
        names = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f'{file} is not valid JSON: {error}') from None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise InputError(f'{file} must be an object {{"label": "name", ...}}')
    return names
