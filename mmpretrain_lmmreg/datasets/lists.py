"""Lists of images and labels as people have them: CSV of any kind, JSON, JSON lines."""

import codecs
import csv
import io
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..errors import InputError, MissingInputError, require_one_of
from ..io.files import parse_json
from .files import some_of
from .layouts import SPLIT_OF, Found, Row
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
# A drive of Windows, or an address: no path below a folder of this machine
_ELSEWHERE = re.compile(r'[A-Za-z]:[\\/]|[A-Za-z]+://')
_BINARY = (b'PK\x03\x04', b'\xd0\xcf\x11\xe0', b'\x1f\x8b', b'PAR1')
_DELIMITERS = (',', ';', '\t', '|')
_BOMS = (
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)
MULTI_LABEL = 'Multi-label data is not supported: each image needs exactly one label'
Entry = tuple[str, Mapping[str, Any]]  # where it stands, and what it says


class NoColumnError(InputError):
    """A list without a column that is needed, in none of its lines."""


def find_file(root: Path, name: str) -> Path:
    """A list that a user names, below ``root`` or by itself; none raises MissingInputError."""
    for file in (root / name, Path(name).expanduser()):
        if file.is_file():
            return file
    raise MissingInputError(
        f'no list {name!r}, neither in {root} nor by itself', code='data.missing_list'
    )


def read_text(file: Path) -> tuple[str, str]:
    """Text of a file and its encoding: by its byte order mark, else UTF-8, else Windows-1252.

    Raises:
        InputError: it is no text.
    """
    content = file.read_bytes()
    guesses = [encoding for bom, encoding in _BOMS if content.startswith(bom)]
    if not guesses and b'\x00' in content[:4]:
        guesses = ['utf-16-le' if content[1:2] == b'\x00' else 'utf-16-be']
    is_binary = content.startswith(_BINARY)
    for encoding in () if is_binary else guesses[:1] or ('utf-8', 'cp1252', 'latin-1'):
        with suppress(UnicodeError):
            text = content.decode(encoding)
            if '\x00' not in text:
                return text, encoding
    what = 'a workbook, an archive or a Parquet file' if is_binary else 'not a text file'
    raise InputError(
        f'{file} is {what}: save the table as "CSV UTF-8" and give that', code='data.not_text'
    )


def read_list(root: Path, ann_file: str, columns: Mapping[str, str] | str | None = None) -> Found:
    """Rows of a list; paths are relative to ``root``.

    Args:
        root: The data root.
        ann_file: The list, below ``root`` or by itself. ``.json`` is a list of objects, ``.jsonl``
            an object a line, anything else a table whose first line names the columns, divided by
            commas, semicolons, tabs or ``|``.
        columns: Names of the columns that are called otherwise than usual, such as
            ``{'path': 'photo', 'label': 'species'}`` or ``'path=photo,label=species'``; see
            :data:`COLUMNS`.

    Raises:
        MissingInputError: there is no such list.
        InputError: by file and line, what is wrong.
    """
    return rows_of(root, find_file(root, ann_file), root, columns)


def rows_of(
    root: Path,
    file: Path,
    base: Path,
    columns: Mapping[str, str] | str | None = None,
    split: str | None = None,
) -> Found:
    """As :func:`read_list` of a file whose paths are relative to ``base``, all of one split."""
    if isinstance(columns, str):
        pairs = (pair.partition('=') for pair in columns.split(',') if pair.strip())
        columns = {role.strip(): name.strip() for role, _, name in pairs}
    for role in columns or ():
        require_one_of('columns', role, COLUMNS)
    found = Found()
    entries = _entries(file, columns or {}, found.notes)
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
                + (f'. {MULTI_LABEL}' if other.label != row.label else ''),
                code='data.listed_twice',
            )
    found.rows = list(rows.values())
    commas = sorted({row.label for row in found.rows if ',' in row.label})
    if commas:
        found.notes.append(f'labels with a comma are one class each: {some_of(commas)}')
    return found


def _entries(file: Path, columns: Mapping[str, str], notes: list[str]) -> list[Entry]:
    text, encoding = read_text(file)
    if encoding in ('cp1252', 'latin-1'):
        notes.append(f'{file} is not UTF-8 and was read as {encoding}')
    usual = {**COLUMNS, **{role: (name.lower(),) for role, name in columns.items()}}
    required = {'path': 'path', 'label': 'label', **columns}
    kind = file.suffix.lower()
    if kind not in ('.json', '.jsonl', '.ndjson'):
        return list(read_table(file, text, usual, required, notes))
    if kind == '.json':
        content = parse_json(text, file)
        found = content if isinstance(content, list) else [None]
        numbered = [(f'entry {n}', each) for n, each in enumerate(found, 1)]
    else:
        lines = [(f'line {n}', line) for n, line in enumerate(text.split('\n'), 1) if line.strip()]
        numbered = [(at, parse_json(line, f'{file}, {at}')) for at, line in lines]
    entries: list[Entry] = []
    for where, entry in numbered:
        if not isinstance(entry, dict):
            raise InputError(
                f'{file}, {where}: not an object {{"path": ..., "label": ...}}',
                code='data.bad_line',
            )
        places = _named(list(entry), usual)
        entries.append((where, {role: entry[name] for role, name in places.items()}))
    for role, name in required.items() if entries else ():
        if not any(role in entry for _, entry in entries):
            raise NoColumnError(
                f"{file} has no {name!r} in any line; others by columns=dict({role}='...')",
                code='data.no_column',
            )
    return entries


def read_table(
    file: Path,
    text: str,
    usual: Mapping[str, Sequence[str]],
    required: Collection[str],
    notes: list[str],
) -> Iterator[Entry]:
    """Where each row of a table stands, and its fields by role, as text.

    Args:
        file: Its name, for errors.
        text: The table; its first line names the columns, divided by one of :data:`_DELIMITERS`.
        usual: For each role the names that its column may have, in lower case.
        required: Roles that must have a column.
        notes: Gets a line where several columns could have one role.
    """
    lines = list(io.StringIO(text, newline=None))
    # blank lines, and the one in which Excel names the delimiter
    first = next((n for n, x in enumerate(lines) if not re.fullmatch(r'\s*|sep=.\s*', x)), 0)
    header = ''.join(lines[first : first + 1])
    delimiter = max(_DELIMITERS, key=lambda mark: len(_named(_fields(header, mark), usual)))
    names = _fields(header, delimiter)
    places = _named(names, usual)
    missing = [role for role in required if role not in places]
    twice = [name for name in places.values() if names.count(name) > 1]
    if missing or twice:
        what = f'no column for {" and ".join(missing)}' if missing else f'two columns {twice[0]!r}'
        option = "; others by columns=dict(path='...', label='...')" * ('path' in usual)
        raise NoColumnError(
            f'{file} has {what} among {",".join(names)!r}. The first line names the columns '
            f'{",".join(usual)}, of which {" and ".join(required)} are needed{option}',
            code='data.no_column',
        )
    for role, name in places.items():
        if others := [n for n in names if n.lower() in usual[role] and n != name]:
            notes.append(f'{file}: the {role} is taken from {name!r}, not from {some_of(others)}')
    rest, start = lines[first + 1 :], 0
    reader = csv.DictReader(rest, names, restval='', delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            while rest[start] == '\n':  # which the reader skips
                start += 1
            where, start = f'line {first + start + 2}', reader.line_num
            if any(map(str.strip, row.pop(None, ()))):
                raise InputError(
                    f'{file}, {where}: more fields than columns; a {delimiter!r} within a field '
                    'needs quotation marks around it',
                    code='data.bad_line',
                )
            if any(map(str.strip, row.values())):
                yield where, {role: row[name] for role, name in places.items()}
    except csv.Error as error:
        raise InputError(
            f'{file}, line {first + reader.line_num + 1}: {error}', code='data.bad_line'
        ) from None


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _named(names: Sequence[str], usual: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Which of a table's column names has which role: the likeliest first."""
    lower = {name.lower(): name for name in reversed(names)}
    places = {role: [lower[n] for n in each if n in lower] for role, each in usual.items()}
    return {role: found[0] for role, found in places.items() if found}


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
    label, path = entry['label'], entry['path']
    if isinstance(label, list | tuple | dict) or any(mark in str(label) for mark in ';|'):
        raise InputError(
            f'{where}: several labels, {label!r}. {MULTI_LABEL}', code='data.multi_label'
        )
    if not isinstance(path, str) or any(mark in f'{path}{label}' for mark in '\x00\n'):
        raise InputError(
            f'{where}: path {path!r} or label {label!r} is not text of one line; is a quotation '
            'mark not closed?',
            code='data.bad_line',
        )
    given = _text(entry, 'split')
    found = SPLIT_OF.get(given.lower(), '') if given else split
    if found in ('', 'unlabelled'):
        raise InputError(
            f'{where}: split must be train, val or test, not {given!r}', code='data.bad_split'
        )
    rel_path = _rel_path(root, base, path.strip(), where)
    return Row(rel_path, nfc(str(label).strip()), found, nfc(_text(entry, 'group')) or None)


def _rel_path(root: Path, base: Path, given: str, where: str) -> str:
    """A path below the data root.

    Backslashes become slashes, and %20 a space, where there is no file of the name as it is.
    """
    if '\\' in given and not os.path.lexists(os.path.join(base, given)):
        given = given.replace('\\', '/')
    if '%' in given and not os.path.lexists(os.path.join(base, given)):
        given = unquote(given)
    place = os.path.join(os.path.abspath(base), given)
    path = os.path.relpath(place, os.path.abspath(root))
    if path.split(os.sep)[0] == os.pardir:  # by its own name; one of them may lead through a link
        folder, name = os.path.split(place)
        path = os.path.relpath(os.path.join(os.path.realpath(folder), name), os.path.realpath(root))
    if path.split(os.sep)[0] == os.pardir or _ELSEWHERE.match(given):
        raise InputError(
            f'{where}: {given!r} is outside of the data root {root}: write paths relative to it',
            code='data.outside_root',
        )
    return Path(path).as_posix()
