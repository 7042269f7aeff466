"""Items of a reply that is a list in plain text: behind numbers or bullets, or a line each."""

import re

from .structured import Found

STOPS = '.!?…。！？'

_NUMBER = re.compile(
    r'(?:(?P<line>^[ \t>]*(?:[-*#•]{1,6}[ \t]+)?[*_("\[]{0,3}'
    r'(?P<word>(?:[^\W\d_]{2,20}\.?)?[ \t]*#?))'
    r'|(?<=[\s。！？])[*_("\[]{0,3})(?P<k>\d{1,3})[*_]{0,2}'
    r'(?P<end>\.\)|\.-|[.):\]、．）：](?!\d)|[ \t]*(?:->|[-–—|>])[ \t]|[ \t]*$)[*_]{0,2}[ \t]*',
    re.MULTILINE | re.ASCII,
)
SIGN = '[\u2190-\u2bff\U0001f000-\U0001faff\ufe0f\u200d]'
_BULLET = re.compile(
    r'^[ \t]*(?:[-*+–—·~]|\d{1,3}[.)]|\(?[A-Za-z]{1,4}\)|[A-Za-z][.])[ \t]+(?:\[[ xX]\][ \t]+)?'
    rf'|^[ \t]*{SIGN}{{1,4}}[ \t]*|(?:^[ \t]*|(?<=\s))[•▪◦‣●・][ \t]*',
    re.MULTILINE,
)
_SECTION = re.compile(
    r'\n[ \t]*(?:#{1,6}[ \t]+[^\n]+|\*\*[^*\n]+\*\*:?|[^\W\d][^\n:.!?]{0,50}:(?:\*\*)?'
    r'|[-=*_]{3,})[ \t]*\Z'
)
_TAGS = re.compile(r'\A\s*(?:<[^<>]+>)+|(?:</[^<>]+>)+\s*\Z')
_OTHER_NUMBER = re.compile(r'\A\W{0,3}\d{1,3}(?:\\?[.)]|st|nd|rd|th|/\d+)?:?\s+')
_TITLE = re.compile(r'\s*(?:#{1,6}\s.*|\*\*[^*]+\*\*:?|.*:(?:\*\*)?)\s*\Z')
_SURE = r'\s*(?:sure|certainly|of course|here (?:are|is)|below (?:are|is))\b'
_GREETING = re.compile(_SURE + r'.{0,120}\Z', re.IGNORECASE)
_OPENING = re.compile(
    _SURE + r'[^:\n]{0,90}(?:descri|capti|senten)[^:\n]{0,60}:\s+(?=\S)', re.IGNORECASE
)


def from_marks(text: str) -> Found | None:
    """Items behind numbers that count up, on lines or in a line, or behind bullets."""
    marks = list(_NUMBER.finditer(text))
    by_line = _counted([mark for mark in marks if mark['line'] is not None])
    anywhere = _counted([mark for mark in marks if _opens_item(text, mark)])
    # most items begin a line: then a number inside a sentence is not the next item
    found = by_line if len(by_line) > max(1, len(anywhere) // 2) else anywhere
    if len(found) < 2:
        bullets = list(_BULLET.finditer(text))
        found = bullets if len(bullets) > len(found) else found
    return _between(text, found) if found else None


def _counted(marks: list[re.Match]) -> list[re.Match]:
    """The marks that count 1, 2, 3, …: only the expected next number opens an item."""
    counted: list[re.Match] = []
    expected, word = 1, ''
    last = {int(mark['k']): mark.start() for mark in marks if mark['line'] is not None}
    for mark in marks:
        number, on_line = int(mark['k']), mark['line'] is not None
        found = (mark['word'] or '').strip().casefold()
        if not counted:
            word = found
        restarts = on_line and number == 1 and expected > 2
        skips = on_line and number == expected + 1 and last.get(expected, -1) < mark.start()
        if found == word and (number == expected or restarts or skips):
            counted.append(mark)
            expected = number + 1
    return counted


def _opens_item(text: str, mark: re.Match) -> bool:
    """Whether a number opens an item, rather than end a sentence inside a line ('bib 2.')."""
    if mark['line'] is not None:
        return True
    if mark['end'] not in ('.', ')', '、', '．', '）'):
        return False
    if re.match(rf'\s*{mark["k"]}[.)]\s', text[mark.end() : mark.end() + 20]):
        return False
    ends_line = not text[mark.end() :].partition('\n')[0].strip()
    return not ends_line or text[: mark.start()].rstrip()[-1:] in STOPS


def _between(text: str, marks: list[re.Match]) -> Found:
    """What stands between the marks, without headings of what follows."""
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    items = [text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)]
    items[:-1] = map(_without_section, items[:-1])
    one_line_each = not any('\n' in item for item in items[:-1])
    end = r'\n' if one_line_each else r'\n\s*\n|\n(?=#|[-=*_]{3,}[ \t]*(?:\n|\Z))'
    items[-1] = re.split(end, items[-1], maxsplit=1)[0]
    return Found(text[: marks[0].start()], items)


def _without_section(item: str) -> str:
    while heading := _SECTION.search(item):
        item = item[: heading.start()].rstrip()
    return item


def from_lines(text: str) -> Found:
    """Every line an item, but for a title and a greeting before them."""
    lines = [line for line in text.split('\n') if line.strip()]
    while len(lines) > 1 and (_TITLE.match(lines[0]) or _GREETING.match(lines[0])):
        lines = lines[1:]
    lines[:1] = [_OPENING.sub('', line, count=1) for line in lines[:1]]
    lines = [inner for line in lines if (inner := _TAGS.sub('', line))]
    if all(map(_OTHER_NUMBER.match, lines)):  # '#1 ', '1st: ', '1/10: ', '1\\. '
        lines = [_OTHER_NUMBER.sub('', line) for line in lines]
    return Found(text, lines, is_list=False)
