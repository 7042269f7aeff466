"""Lists of images and labels as people have them: CSV of any kind, JSON, JSON lines."""

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingInputError
from .files import some_of
from .layouts import Found, Row
from .names import nfc

#: Usual names of a list's columns, the likeliest first.
COLUMNS = {
    'path': (
        *('path', 'file_path', 'filepath', 'image_path', 'img_path', 'file_name', 'filename'),
        *('file', 'image', 'img', 'image_file', 'image_name'),
    ),
    'label': (
        *('label', 'class', 'class_name', 'classname', 'category', 'target', 'label_name'),
        *('class_label', 'category_name', 'labels'),
    ),
    'split': ('split', 'subset', 'set', 'partition'),
    'group': ('group', 'group_id'),
}
_SPLITS = {
    **dict.fromkeys(('train', 'training'), 'train'),
    **dict.fromkeys(('val', 'valid', 'validation', 'dev'), 'val'),
    **dict.fromkeys(('test', 'testing'), 'test'),
}
_DELIMITERS = (',', ';', '\t', '|')
_BOMS = (
    (b'\xef\xbb\xbf', 'utf-8-sig'),
    (b'\xff\xfe\x00\x00', 'utf-32'),
    (b'\x00\x00\xfe\xff', 'utf-32'),
    (b'\xff\xfe', 'utf-16'),
    (b'\xfe\xff', 'utf-16'),
)
_MULTI_LABEL = 'Multi-label data is not supported: each image needs exactly one label'
Entry = tuple[str, Mapping[str, Any]]  # where it stands, and what it says


def read_text(file: Path) -> tuple[str, str]:
    """Text of a file and its encoding: by its byte order mark, else UTF-8, else Windows-1252.

    Raises:
        InputError: it is no text.
    """
    content = file.read_bytes()
    if content.startswith((b'PK\x03\x04', b'\xd0\xcf\x11\xe0')):
        raise InputError(
            f'{file} is a workbook: save it as "CSV UTF-8" and give that', code='data.not_text'
        )
    guesses = [encoding for bom, encoding in _BOMS if content.startswith(bom)]
    if not guesses and b'\x00' in content[:4]:
        guesses = ['utf-16-le' if content[1:2] == b'\x00' else 'utf-16-be']
    for encoding in guesses[:1] or ('utf-8', 'cp1252', 'latin-1'):
        try:
            text = content.decode(encoding)
        except UnicodeError:
            continue
        if '\x00' not in text:
            return text, encoding
    raise InputError(f'{file} is not a text file; save it as UTF-8', code='data.not_text')


def read_list(root: Path, ann_file: str, columns: Mapping[str, str] | None = None) -> Found:
    """Rows of a list; paths are relative to ``root``.

    Args:
        root: The data root.
        ann_file: The list, below ``root`` or by itself. ``.json`` is a list of objects, ``.jsonl``
            an object a line, anything else a table whose first line names the columns, divided by
            commas, semicolons, tabs or ``|``.
        columns: Names of the columns that are called otherwise than usual, such as
            ``{'path': 'photo', 'label': 'species'}``; see :data:`COLUMNS`.

    Raises:
        MissingInputError: there is no such list.
        InputError: by file and line, what is wrong.
    """
    file = next((f for f in (root / ann_file, Path(ann_file).expanduser()) if f.is_file()), None)
    if file is None:
        raise MissingInputError(
            f'no list {ann_file!r}, neither in {root} nor by itself', code='data.missing_list'
        )
    return rows_of(root, file, root, columns)


def rows_of(
    root: Path,
    file: Path,
    base: Path,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
) -> Found:
    """As :func:`read_list` of a file whose paths are relative to ``base``, all of one split."""
    found = Found()
    entries = _entries(file, columns or {}, found)
    if not entries:
        raise InputError(f'{file} lists no images', code='data.empty_list')
    _check_complete(file, entries)
    rows: dict[str, Row] = {}
    for where, entry in entries:
        row = _row(root, base, entry, f'{file}, {where}', split)
        other = rows.setdefault(row.rel_path, row)
        if other is not row:
            raise InputError(
                f'{file}, {where}: {row.rel_path!r} is listed twice'
                + (f'. {_MULTI_LABEL}' if other.label != row.label else ''),
                code='data.listed_twice',
            )
    found.rows = list(rows.values())
    commas = sorted({row.label for row in found.rows if ',' in row.label})
    if commas:
        found.notes.append(f'labels with a comma are one class each: {some_of(commas)}')
    return found


def _entries(file: Path, columns: Mapping[str, str], found: Found) -> list[Entry]:
    text, encoding = read_text(file)
    if encoding in ('cp1252', 'latin-1'):
        found.notes.append(f'{file} is not UTF-8 and was read as {encoding}')
    kind = file.suffix.lower()
    if kind in ('.json', '.jsonl', '.ndjson'):
        return list(_json_entries(file, text, columns, lines=kind != '.json'))
    return list(_csv_entries(file, text, columns))


def _csv_entries(file: Path, text: str, columns: Mapping[str, str]) -> Iterator[Entry]:
    lines = text.replace('\r\n', '\n').replace('\r', '\n').split('\n')
    while lines and not lines[0].strip():
        lines.pop(0)
    header = next(iter(lines), '')
    delimiter = max(
        _DELIMITERS, key=lambda mark: len(_named(_split_line(header, mark), columns, file))
    )
    names = _split_line(header, delimiter)
    places = _named(names, columns, file)
    _require_columns(file, places, names)
    reader = csv.reader(lines[1:], delimiter=delimiter, skipinitialspace=True)
    try:
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            where = f'line {reader.line_num + 1}'
            if len(fields) > len(names):
                raise InputError(
                    f'{file}, {where}: more fields than columns; a {delimiter!r} within a field '
                    'needs quotation marks around it',
                    code='data.bad_line',
                )
            yield where, {name: _at(fields, names.index(at)) for name, at in places.items()}
    except csv.Error as error:
        raise InputError(
            f'{file}, line {reader.line_num + 1}: {error}', code='data.bad_line'
        ) from None


def _split_line(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _at(fields: Sequence[str], place: int) -> str:
    return fields[place] if place < len(fields) else ''


def _named(names: Sequence[str], columns: Mapping[str, str], file: Path) -> dict[str, str]:
    """Which of a list's names are path, label, split and group."""
    lower = {name.lower(): name for name in reversed(names)}
    places = {}
    for role, usual in COLUMNS.items():
        wanted = (columns[role].lower(),) if role in columns else usual
        found = next((lower[name] for name in wanted if name in lower), None)
        if found is not None:
            places[role] = found
    return places


def _require_columns(file: Path, places: Mapping[str, str], names: Sequence[str]) -> None:
    missing = [role for role in ('path', 'label') if role not in places]
    if missing:
        raise InputError(
            f'{file} has no column for {" and ".join(missing)} among {",".join(names)!r}. '
            'The first line names the columns path,label[,split][,group]; other names by '
            "columns=dict(path='...', label='...')",
            code='data.no_column',
        )


def _json_entries(
    file: Path, text: str, columns: Mapping[str, str], lines: bool
) -> Iterator[Entry]:
    if lines:
        numbered = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        objects = [(f'line {n}', _parse(line, f'{file}, line {n}')) for n, line in numbered]
    else:
        content = _parse(text, str(file))
        objects = (
            [(f'entry {n}', each) for n, each in enumerate(content, 1)]
            if isinstance(content, list)
            else [('the whole', None)]
        )
    for where, entry in objects:
        if not isinstance(entry, dict):
            raise InputError(
                f'{file}, {where}: not an object {{"path": ..., "label": ...}}',
                code='data.bad_line',
            )
        places = _named(list(entry), columns, file)
        yield where, {role: entry[name] for role, name in places.items()}


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f'{where} is not JSON: {error}', code='data.not_json') from None


def _check_complete(file: Path, entries: list[Entry]) -> None:
    for role in ('path', 'label'):
        missing = [where for where, entry in entries if not _text(entry, role)]
        if missing:
            raise InputError(f'{file}: no {role} in {some_of(missing)}', code='data.no_column')
    with_split = [bool(_text(entry, 'split')) for _, entry in entries]
    if any(with_split) and not all(with_split):
        where = entries[with_split.index(False)][0]
        raise InputError(
            f'{file}, {where}: no split, though other rows have one', code='data.bad_split'
        )


def _text(entry: Mapping[str, Any], role: str) -> str:
    value = entry.get(role)
    return '' if value is None else str(value).strip()


def _row(root: Path, base: Path, entry: Mapping, where: str, split: str | None) -> Row:
    label = entry['label']
    if isinstance(label, list | tuple | dict) or any(mark in str(label) for mark in ';|'):
        raise InputError(
            f'{where}: several labels, {label!r}. {_MULTI_LABEL}', code='data.multi_label'
        )
    given = _text(entry, 'split')
    if given and given.lower() not in _SPLITS:
        raise InputError(
            f'{where}: split must be train, val or test, not {given!r}', code='data.bad_split'
        )
    return Row(
        _rel_path(root, base, _text(entry, 'path'), where),
        nfc(str(label).strip()),
        _SPLITS.get(given.lower()) or split,
        nfc(_text(entry, 'group')) or None,
    )


def _rel_path(root: Path, base: Path, given: str, where: str) -> str:
    """A path below the data root, with backslashes turned where the file's name has none."""
    if '\x00' in given:
        raise InputError(f'{where}: {given!r} is not a path', code='data.bad_line')
    if '\\' in given and not os.path.lexists(os.path.join(base, given)):
        given = given.replace('\\', '/')
    path = os.path.relpath(os.path.join(os.path.abspath(base), given), os.path.abspath(root))
    if path.split(os.sep)[0] == os.pardir:
        raise InputError(
            f'{where}: {given!r} is outside of the data root {root}', code='data.outside_root'
        )
    return Path(path).as_posix()
