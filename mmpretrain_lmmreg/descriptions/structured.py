"""Items of a reply that is JSON or a table."""

import json
import re
from dataclasses import dataclass
from itertools import takewhile, zip_longest


@dataclass(frozen=True)
class Found:
    """Items of a reply, still with their marks of emphasis, and the words before them."""

    preamble: str
    items: list[str]
    cut: bool = False  # seen to be unfinished, the unfinished item already left out
    is_list: bool = True


_JSON_START = re.compile(r'(?:\A|[\n:`=]|json|(?<=\s)(?=\[\s*"))[^\S\n]*([\[{]\s*["\'{\[])')
_QUOTED = re.compile(
    r'"(?P<double>(?:[^"\\]+|\\.|"(?!\s*[,:\]}]))*)(?P<closed>")?'
    r"|(?<=[\[{,:\s])'(?P<single>(?:[^'\\]+|\\.|'(?!\s*[,:\]}]))*)(?P<ended>')?",
    re.DOTALL,
)
_OWN_NUMBER = re.compile(r'\A\s*\d{1,3}[.)]\s+(?=[^\n]*\Z)')
_GAP = re.compile(r'[\s,]*')
_WANTED = re.compile(r'desc|sentence|caption|item|list', re.IGNORECASE)
_RULE = re.compile(r'[\s|:+-]*-{2,}[\s|:+-]*\Z')


def from_json(text: str) -> Found | None:
    """Items of a JSON list or object, also of one that breaks off or is quoted as in Python."""
    start = _JSON_START.search(text)
    if not start:
        return None
    begin, cut = start.start(1), False
    try:
        values = _values(text, begin)
        items = _texts(values[0] if len(values) == 1 else values)
    except (ValueError, RecursionError):
        quoted = list(_QUOTED.finditer(text, begin))
        cut = bool(quoted) and not (quoted[-1]['closed'] or quoted[-1]['ended'])
        quoted = [q for q in quoted[: -1 if cut else None] if text[q.end() :][:1] != ':']
        items = [q['double'] or q['single'] or '' for q in quoted]
    items = [_OWN_NUMBER.sub('', item) for item in items]
    return Found(text[:begin], items, cut) if items else None


def _values(text: str, begin: int) -> list[object]:
    """The JSON value at ``begin``, and those on the lines that follow."""
    values: list[object] = []
    decoder = json.JSONDecoder(strict=False)
    while text[begin : begin + 1] in ('[', '{'):
        value, end = decoder.raw_decode(text, begin)
        values.append(value)
        begin = _GAP.match(text, end).end()  # type: ignore[union-attr]
    return values


def _texts(value: object) -> list[str]:
    """The texts of a decoded list or object: the list called for in it, else the longest."""
    if isinstance(value, list):
        return [max(_strings(each), key=len, default='') for each in value]
    if not isinstance(value, dict):
        return []
    inner = {name: each for name, each in value.items() if isinstance(each, list | dict)}
    wanted = [each for name, each in inner.items() if _WANTED.search(name)]
    if inner:
        return max(map(_texts, wanted or inner.values()), key=len)
    return [text for text in value.values() if isinstance(text, str)]


def _strings(value: object) -> list[str]:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return [text for part in parts for text in _strings(part)]
    return [value] if isinstance(value, str) else []


def from_table(text: str) -> Found | None:
    """The wordiest column of a Markdown table."""
    lines = [line.strip() for line in text.split('\n')]
    rule = next((i for i, line in enumerate(lines) if '|' in line and _RULE.match(line)), 0)
    if not rule:
        return None
    rows = takewhile(lambda line: '|' in line, lines[rule + 1 :])
    cells = [[cell.strip() for cell in row.strip('|').split('|')] for row in rows]
    columns = zip_longest(*cells, fillvalue='')
    texts = [text for text in max(columns, key=lambda c: sum(map(len, c)), default=()) if text]
    return Found('\n'.join(lines[: rule - 1]), texts) if texts else None
