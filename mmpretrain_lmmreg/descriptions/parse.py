"""From an LMM's reply to a list of descriptions; plain functions that never raise."""

import json
import re
from dataclasses import dataclass

STATUSES = ('ok', 'long', 'short', 'truncated', 'refused', 'empty', 'error')
"""What a reply can be, best first; ``error`` (no reply at all) is never the parser's verdict."""


@dataclass(frozen=True)
class ParsedReply:
    """Descriptions found in a reply, in its order, and one of :data:`STATUSES`."""

    descriptions: list[str]
    status: str


def parse_reply(reply: str, expected: int = 10) -> ParsedReply:
    """Read the descriptions out of a reply and say what kind of reply it is.

    Takes numbered lists (also on one line), bullets, JSON lists and plain lines, with or
    without a preamble. A turn that the LMM invented (``###``, ``Human:``) is left out, as are
    repeats within the reply and an unfinished last item. ``long`` keeps all items; ``refused``
    has none, so that no apology enters a class mean.

    Args:
        reply: The LMM's words, whole.
        expected: Number of descriptions asked for.
    """
    text = _own_turn(reply)
    if not text:
        return ParsedReply([], 'empty')
    found = _from_json(text) or _from_marks(text) or _from_lines(text)
    if _is_refusal(found):
        return ParsedReply([], 'refused')
    items = [_clean(item) for item in found.items]
    cut = found.cut or _last_is_unfinished(items)
    whole = items[:-1] if cut and not found.cut else items
    unique: dict[str, str] = {}
    for item in filter(_WORD.search, whole):
        unique.setdefault(item.casefold(), item)
    descriptions = list(unique.values())
    return ParsedReply(descriptions, _status(descriptions, cut, expected))


def _status(descriptions: list[str], cut: bool, expected: int) -> str:
    if not descriptions:
        return 'truncated' if cut else 'empty'
    if len(descriptions) > expected or (cut and len(descriptions) == expected):
        return 'long'
    if len(descriptions) == expected:
        return 'ok'
    return 'truncated' if cut else 'short'


@dataclass(frozen=True)
class _Found:
    preamble: str
    items: list[str]
    cut: bool = False  # seen to be unfinished, the unfinished item already left out
    is_list: bool = True


_WORD = re.compile(r'\w')
_THOUGHT = re.compile(r'<think>.*?(?:</think>|\Z)', re.DOTALL)
_SPECIAL = re.compile(r'</?s>|<\|[\w ]{1,30}\|>')
_OWN_MARK = re.compile(r'\A\s*(?:#{2,}\s*)?(?:assistant|answer)\s*:', re.IGNORECASE)
_HEADING = re.compile(r'\A\s*#{1,6}[ \t]+(?!\d)[^\n:]*:?[ \t]*\n')
_NEXT_TURN = re.compile(r'#{3,}(?![#\s*]*\d)|(?:^|(?<=\s))(?:Human|HUMAN|User|USER|Ask|ASSISTANT):')


def _own_turn(reply: str) -> str:
    """The reply up to where the LMM began to speak for somebody else."""
    text = _SPECIAL.sub('\n', _THOUGHT.sub('', reply)).replace('\r', '\n')
    text = _HEADING.sub('', _OWN_MARK.sub('', text))
    return _NEXT_TURN.split(text, maxsplit=1)[0].strip()


_NOT = r"(?:can\s?not|can't|could\s?n['o]t|(?:'m|am)\s+(?:unable|not\s+able)\s+to)"
_BLIND = re.compile(
    rf'\bI\s*{_NOT}\s+(?:\w+\s+){{0,2}}?(?:see|view|access|open|load|display|look)\b'
    r"|\bI\s+(?:don't|do\s+not)\s+(?:\w+\s+)?(?:see|have)\s+(?:\w+\s+){0,4}(?:image|picture|photo)"
    r'|\bno\s+(?:image|picture|photo)\s+(?:was|is|has|attached|provided)'
    r'|\bplease\s+(?:upload|provide|share|attach|send|describe)\b',
    re.IGNORECASE,
)
_SORRY = re.compile(
    rf"\bI(?:'m|\s+am)\s+(?:\w+\s+)?(?:sorry|afraid)\b|\bI\s*{_NOT}\b|\bas\s+an?\s+(?:AI|language|text)\b"
    r'|\A\W*(?:sorry|unfortunately|(?:I|my)\s+apolog\w+)\b',
    re.IGNORECASE,
)


def _is_refusal(found: _Found) -> bool:
    preamble, first = (part.replace('’', "'") for part in (found.preamble, found.items[0]))
    if not found.is_list:
        return bool(_BLIND.search(preamble) or _SORRY.search(preamble))
    # 'I cannot name the people, but here are ten descriptions: 1. …' is no refusal
    first = first.strip(' \n"“*')
    return bool(_BLIND.search(preamble) or _SORRY.match(first) or _BLIND.match(first))


_JSON_START = re.compile(r'(?:\A|[\n:`]|json)\s*([\[{]\s*["\'{])')
_QUOTED = re.compile(
    r'"((?:[^"\\]|\\.)*)"\s*(?=[,\]}])'
    r"|(?<=[\[,\s])'((?:[^'\\]|\\.|'(?=\w))*)'\s*(?=[,\]])",
    re.DOTALL,
)
_OWN_NUMBER = re.compile(r'\s*\d{1,3}[.)]\s+')


def _from_json(text: str) -> _Found | None:
    """Items of a JSON list or object, also of one that breaks off or is quoted as in Python."""
    start = _JSON_START.search(text)
    if not start:
        return None
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text, start.start(1))
        items, cut = _strings(value), False
    except (ValueError, RecursionError):
        items = [a or b for a, b in _QUOTED.findall(text, start.start(1))]
        cut = text.rstrip('`\n ')[-1] not in ']}'
    if not items:
        return None
    return _Found(text[: start.start(1)], [_OWN_NUMBER.sub('', i, count=1) for i in items], cut)


def _strings(value: object) -> list[str]:
    """Texts of a decoded list, of an object's list, or of an object's values."""
    if isinstance(value, dict):
        lists = [v for v in value.values() if isinstance(v, list)]
        value = lists[0] if lists else list(value.values())
    texts = []
    for item in value if isinstance(value, list) else []:
        options = item.values() if isinstance(item, dict) else [item]
        texts.append(max((o for o in options if isinstance(o, str)), key=len, default=''))
    return texts


_NUMBER = re.compile(
    r'(?:(?P<line>^[ \t]*(?:[-*>#•]{1,6}[ \t]+)?)|(?<=\s))'
    r'[*_("\[]{0,3}(?P<k>\d{1,4})[*_]{0,2}(?P<end>[.):\]、])[*_]{0,2}(?!\d)',
    re.MULTILINE | re.ASCII,
)
_BULLET = re.compile(
    r'^[ \t]*(?:[-*+–—·]|\d{1,3}[.)])[ \t]+|(?:^[ \t]*|(?<=\s))[•▪◦‣●][ \t]*', re.MULTILINE
)


def _from_marks(text: str) -> _Found | None:
    """Items behind the numbers 1, 2, 3, … or behind bullets."""
    marks = list(_NUMBER.finditer(text))
    by_line, anywhere = _chain(text, marks, True), _chain(text, marks, False)
    # most items begin a line: then a number inside a sentence is not the next item
    numbers = by_line if len(by_line) >= 2 and 2 * len(by_line) > len(anywhere) else anywhere
    bullets = list(_BULLET.finditer(text)) if len(numbers) < 2 else []
    marks = bullets if len(bullets) > len(numbers) else numbers
    if not marks:
        return None
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    items = [text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)]
    one_line_each = not any('\n' in item for item in items[:-1])
    items[-1] = re.split(r'\n' if one_line_each else r'\n\s*\n', items[-1], maxsplit=1)[0]
    return _Found(text[: marks[0].start()], items)


def _chain(text: str, marks: list[re.Match], lines_only: bool) -> list[re.Match]:
    """The marks that count 1, 2, 3, …: only the expected next number opens an item."""
    chain: list[re.Match] = []
    for mark in marks:
        if int(mark['k']) == len(chain) + 1 and (
            mark['line'] is not None or (not lines_only and _opens_inside_line(text, mark))
        ):
            chain.append(mark)
    return chain


def _opens_inside_line(text: str, mark: re.Match) -> bool:
    """Whether a number inside a line opens an item, rather than end a sentence ('bib 2.')."""
    if mark['end'] not in '.)' or re.match(
        rf'\s+{mark["k"]}[.)]\s', text[mark.end() : mark.end() + 20]
    ):
        return False
    ends_line = not text[mark.end() :].partition('\n')[0].strip()
    return not ends_line or text[: mark.start()].rstrip()[-1:] in _STOPS


def _from_lines(text: str) -> _Found:
    lines = [line for line in text.split('\n') if line.strip()]
    if len(lines) > 1 and lines[0].rstrip().endswith(':'):
        lines = lines[1:]
    return _Found(text, lines, is_list=False)


_STOPS = '.!?…。！？'
_ENDS = tuple(_STOPS + '"”’\')]')


def _last_is_unfinished(items: list[str]) -> bool:
    """The last item is empty, or alone has no full stop: the token limit was reached."""
    if not items or (items[-1] and len(items) == 1):
        return False
    return not items[-1] or (
        not items[-1].endswith(_ENDS) and all(item.endswith(_ENDS) for item in items[:-1])
    )


def _clean(item: str) -> str:
    """One line, without Markdown's emphasis and without quotes around the whole."""
    line = ' '.join(item.replace('**', '').split()).strip('*_` ')
    quoted = re.fullmatch(r'"([^"]+)",?|“([^“”]+)”,?', line)
    return (quoted[1] or quoted[2]).strip() if quoted else line
