"""Classes of own images: which labels there are, in which order, and what they are called.

Configs call :func:`find_classes` while they are read, so nothing here needs torch or mm* packages.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from ..errors import InputError, MissingInputError
from ..io.files import check_fields, parse_json
from .files import some_of
from .hugging_face import exported_images, read_imagefolder
from .layouts import Found, Row, read_folders
from .lists import find_file, read_list, read_table, read_text
from .names import check_visible, nfc, readable_name
from .pictures import natural_key


def find_classes(
    data_root: str, ann_file: str = '', columns: Mapping[str, str] | str | None = None
) -> tuple[str, ...]:
    """Readable class names of own images, in the order of :class:`OwnImages`'s labels.

    Their number is a config's ``num_classes``. Mistakes in the data raise InputError.
    """
    found = read_rows(image_root(data_root), ann_file, columns)
    return tuple(map(readable_name, labels_of(found.rows)))


def image_root(data_root: str) -> Path:
    """Folder of the images: ``data_root``, or where a saved data set's images were written.

    A missing folder raises MissingInputError.
    """
    root = Path(data_root).expanduser()
    if not root.is_dir():
        raise MissingInputError(
            f'no folder {str(root)!r}: data_root is the folder of your images '
            '(CUSTOM_ROOT=FOLDER for configs/lmmreg_custom.py)',
            code='data.missing_root',
        )
    return exported_images(root) or root


def read_rows(
    root: Path, ann_file: str = '', columns: Mapping[str, str] | str | None = None
) -> Found:
    """Rows of the list ``ann_file``, else of ``metadata.csv`` beside images, else of folders."""
    if ann_file:
        found = read_list(root, ann_file, columns)
    else:
        found = read_imagefolder(root, columns) or read_folders(root)
    _check_labels(found.rows, ann_file or str(root))
    single = [label for label, n in Counter(row.label for row in found.rows).items() if n == 1]
    if single:
        found.notes.append(f'classes with a single image: {some_of(single, 10)}')
    return found


def labels_of(rows: Sequence[Row]) -> list[str]:
    """The labels that occur, in natural order: a class's number is its place among them."""
    return sorted({row.label for row in rows}, key=natural_key)


def _check_labels(rows: Sequence[Row], where: str) -> None:
    spellings, splits = defaultdict(list), defaultdict(set)
    for row in rows:
        splits[row.label].add(row.split or 'train')
    for label in labels_of(rows):
        check_visible(label, where)
        spellings[readable_name(label).casefold()].append(label)
    for same in spellings.values():
        if len(same) > 1:
            raise InputError(
                f'{where}: labels {", ".join(map(repr, same))} differ only in case, spacing or '
                f'numbering: spell them alike, or further apart',
                code='data.similar_labels',
            )
    if len(splits) < 2:
        raise InputError(
            f'{where}: only one class, {next(iter(splits))!r}; two or more are needed',
            code='data.one_class',
        )
    untrained = [label for label, found in splits.items() if 'train' not in found]
    if untrained:
        found = sorted(set.union(*(splits[label] for label in untrained)))
        raise InputError(
            f'{where}: classes in {" and ".join(found)} that train lacks: {some_of(untrained)}',
            code='data.untrained_class',
        )


def class_names_of(
    labels: Sequence[str], given: Mapping[str, str] | str, root: str | Path
) -> tuple[str, ...]:
    """Names of classes: the given ones exactly, else the labels made readable.

    Args:
        labels: As folders or a list spell them.
        given: ``{label: name}`` for some or all labels, or a file of it: a JSON object, or a CSV
            with the columns label,name. '' for none.
        root: The file's folder, unless its path leads to it by itself.

    Raises:
        InputError: no such file, or a damaged one; a label that no image has; two classes of one
            name; a name that is blank or invisible.
    """
    names = _read_names(Path(root), given) if isinstance(given, str) else dict(given or {})
    names = {nfc(label): name for label, name in names.items()}
    known = set(labels)
    unknown = [label for label in names if label not in known]
    if unknown:
        near = get_close_matches(unknown[0], labels, 1)
        hint = f'; did you mean {near[0]!r}?' if near else '.'
        raise InputError(
            f'class_names: no image has the label {some_of(unknown)}{hint} The labels are '
            f'{some_of(labels)}',
            code='data.unknown_label',
        )
    for name in names.values():
        check_visible(str(name), 'class_names')
    found = tuple(str(names.get(label) or readable_name(label)) for label in labels)
    same = sorted(name for name, count in Counter(map(nfc, found)).items() if count > 1)
    if same:
        raise InputError(
            f'class_names: {some_of(same)} names more than one class', code='data.same_name'
        )
    return found


def _read_names(root: Path, given: str) -> dict[str, str]:
    if not given:
        return {}
    file = find_file(root, given)
    text, _ = read_text(file)
    if file.suffix.lower() == '.json':
        names = parse_json(text, file)
        check_fields(names, {str: str}, file)
        return names
    columns = {'label': ('label',), 'name': ('name',)}
    rows = [row for _, row in read_table(file, text, columns, columns, [])]
    return {row['label'].strip(): row['name'].strip() for row in rows}
