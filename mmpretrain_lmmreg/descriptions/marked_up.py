"""Items of a reply that is JSON, XML, HTML or a table."""

import html
import json
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """Items of a reply, still with their marks of emphasis, and the words before them."""

    preamble: str
    items: list[str]
    cut: bool = False  # seen to be unfinished, the unfinished item already left out
    is_list: bool = True


_JSON_START = re.compile(
    r'(?:\A|[\n:`=]|json|(?<=\s)(?=\[\s*["“]))[^\S\n]*([\[{]\s*["“\'{\[]|"(?=[\[{\d]))'
)
_QUOTE = re.compile(r'(?<!\\)"|(?<=[\[,\s])\'')
_BODIES = {
    '"': re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL),
    "'": re.compile(r"(?:[^'\\]|\\.|'(?=\w))*", re.DOTALL),
}
_ENDS = {'"': re.compile(r'"\s*(?=[,\]}])'), "'": re.compile(r"'\s*(?=[,\]])")}
_GAP = re.compile(r'[\s,]*')
_OWN_NUMBER = re.compile(r'\s*\d{1,3}[.)]\s+')
_WANTED = re.compile(r'desc|sentence|caption|item|list|answer|statement', re.IGNORECASE)


def from_json(text: str) -> Found | str | None:
    """Items of a JSON list or object, also of one that breaks off or is quoted as in Python.

    A text where JSON holds but one with a list inside: that text is to be read instead.
    """
    start = _JSON_START.search(text)
    if not start:
        return None
    begin, source = start.start(1), text
    if re.match(r'\[\s*“', text[begin : begin + 20]):
        source = text.replace('“', '"').replace('”', '"')
    values = _values(source, begin)
    cut = False
    if values:
        items = _texts(values[0] if len(values) == 1 else values)
    else:
        items = _quoted(source, begin)
        cut = source.rstrip('`\n ')[-1] not in ']}'
    if len(items) == 1 and len(items[0]) < len(text) and re.match(r'\s*[\[{]|.*\n', items[0]):
        return items[0]
    if not items:
        return None
    return Found(text[:begin], [_OWN_NUMBER.sub('', i, count=1) for i in items], cut)


def _quoted(text: str, begin: int) -> list[str]:
    """What stands between quotes of either kind before a comma or bracket."""
    items: list[str] = []
    at = unclosed = begin
    while quote := _QUOTE.search(text, at):
        at, mark = quote.end(), quote[0]
        if mark == "'" and at <= unclosed:
            continue  # it ends where the one before it does: long replies take linear time
        body = _BODIES[mark].match(text, at)
        stop = body.end() if body else at
        if end := _ENDS[mark].match(text, stop):
            items.append(text[at:stop])
            at = end.end()
        elif mark == "'":
            unclosed = stop
    return items


def _values(text: str, begin: int) -> list[object]:
    """The JSON value at ``begin``, and those on the lines that follow."""
    values: list[object] = []
    decoder = json.JSONDecoder(strict=False)
    try:
        while begin < len(text) and text[begin] in '[{"':
            value, end = decoder.raw_decode(text, begin)
            values.append(value)
            gap = _GAP.match(text, end)
            begin = gap.end() if gap else end
    except (ValueError, RecursionError):
        return []
    return values


def _texts(value: object) -> list[str]:
    """The best list of texts in a decoded value: one called for, else the longest."""
    lists: list[tuple[bool, int, list[str]]] = []

    def look(value: object, name: str) -> str:
        """Add the lists in a value to ``lists``; return its longest text."""
        if isinstance(value, str):
            return value
        if not isinstance(value, dict | list):
            return ''
        parts = value.items() if isinstance(value, dict) else ((name, v) for v in value)
        texts = [look(part, str(key)) for key, part in parts]
        nested = isinstance(value, dict) and any(isinstance(v, dict | list) for v in value.values())
        if isinstance(value, list) or not nested:
            lists.append((bool(_WANTED.search(name)), sum(map(bool, texts)), texts))
        return max(texts, key=len, default='')

    if isinstance(value, str):
        return [value] if '\n' in value else []
    try:
        look(value, '')
    except RecursionError:
        return []
    return max(lists, key=lambda found: found[:2], default=(False, 0, []))[2]


_LEAF = re.compile(
    r'<(?!(?i:img|hr|input|meta|link|source)\b)(?P<tag>[A-Za-z_][\w.:-]*|\d{1,3})(?:\s[^<>]*)?>(?P<text>[^<>]+)'
    r'(?:(?P<end></(?P=tag)\s*>)|(?=<(?P=tag)[\s>]|</)|\Z)'
)


def from_tags(text: str) -> Found | str | None:
    """Texts of the XML or HTML elements that there are most of; the only one is to be read."""
    text = re.sub(r'<br\s*/?>', '\n', text, flags=re.IGNORECASE)
    leaves: dict[str, list[re.Match]] = {}
    for leaf in _LEAF.finditer(text):
        if re.search(r'[^\W\d]', leaf['text']):
            leaves.setdefault(re.sub(r'[\d_-]+\Z', '', leaf['tag'].lower()), []).append(leaf)
    if not leaves:
        return None
    found = max(leaves.values(), key=lambda group: (len(group), sum(len(m['text']) for m in group)))
    whole = found[0]['end'] or not text[: found[0].start()].strip()
    if len(found) == 1 and len(leaves) == 1 and whole and '\n' in found[0]['text'].strip():
        return found[0]['text']
    if len(found) == 1 and not found[0]['end']:
        return None
    cut = bool(found[-1]['end'] is None and found[0]['end'] and found[-1].end() == len(text))
    items = [html.unescape(leaf['text']).strip() for leaf in (found[:-1] if cut else found)]
    return Found(text[: found[0].start()], items, cut)


_RULE = re.compile(r'[\s|:+-]*-{2,}[\s|:+-]*\Z')


def from_table(text: str) -> Found | None:
    """The wordiest column of a Markdown table, or the one called for."""
    lines = [line.strip() for line in text.split('\n')]
    first = next((i for i, line in enumerate(lines) if line.count('|') and _RULE.match(line)), None)
    begin = first - 1 if first else next((i for i, ln in enumerate(lines) if ln[:1] == '|'), None)
    if begin is None:
        return None
    rows = []
    for line in lines[begin:]:
        if '|' not in line:
            break
        if not _RULE.match(line):
            rows.append(line)
    cells = [[c.strip() for c in re.split(r'(?<!\\)\|', row.strip('|'))] for row in rows]
    header = cells.pop(0) if first else []
    if not cells or (not first and len(cells) < 2):
        return None
    cut = rows[0].endswith('|') and not rows[-1].endswith('|')
    whole = cells[:-1] if cut else cells
    width = max(map(len, cells))
    columns = [[row[i] if i < len(row) else '' for row in whole] for i in range(width)]
    wanted = [i for i, name in enumerate(header) if _WANTED.search(name) and i < width]
    column = max(
        (columns[i] for i in wanted or range(width)), key=lambda texts: sum(map(len, texts))
    )
    texts = [text for text in column if text]
    return Found('\n'.join(lines[:begin]), texts, cut) if texts else None
