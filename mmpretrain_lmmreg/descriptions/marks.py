"""Items of a reply that is a list in plain text: behind numbers, letters or bullets, or by line."""

import re

from .marked_up import Found

STOPS = '.!?…。！？'

_NUMBER = re.compile(
    r'(?:(?P<line>^[ \t]*(?:>[ \t]*)?(?:[-*>#•]{1,6}[ \t]+)?)|(?<=[\s。！？]))'
    r'[*_("\[]{0,3}(?P<k>\d{1,4})[*_]{0,2}(?P<end>\.\)|[.):\]、．）：])[*_]{0,2}(?!\d)',
    re.MULTILINE | re.ASCII,
)
_BEGIN = r'^[ \t]*(?:[-*•>#]{1,6}[ \t]+)?[*_("\[]{0,3}'
_ENDED = r'[*_\]]{0,3}[ \t]*(?:[.):\]）：．-]|[–—|][ \t])[*_]{0,2}[ \t]*'
_OTHERS = [  # marks that only begin a line, each counting from its first
    re.compile(_BEGIN + pattern, re.MULTILINE)
    for pattern in (
        r'(?P<word>[^\W\d_]{2,20}\.?)[ \t]*[#№]?(?P<k>\d{1,3})'
        rf'(?:{_ENDED}|[*_]{{0,2}}[ \t]*\n)',
        r'(?P<k>\d{1,3})(?:[*_]{0,2}(?:[ \t]*(?:[–—|>~=]|->|-(?=[ \t]))[ \t]*|[ \t]*\t[ \t]*'
        r'|/\d+\W)|\.?[*_]{0,2}[ \t]*\n|,(?=["“ ]|[^\W\d])|(?:st|nd|rd|th)\b[.:)]?)',
        rf'(?:[#№]|(?:No|Nr|Nº|N°)\.?)[ \t]*(?P<k>\d{{1,3}})(?:{_ENDED}|[*_]{{0,2}}[ \t]+)',
        r'(?P<a>[A-Za-z])[.)\]:](?=\s|[*_])[*_]{0,2}[ \t]*',
        r'(?P<r>[IVXivx]{1,7})[.)\]:](?=\s|[*_])[*_]{0,2}[ \t]*',
    )
]
_LETTERS = re.compile(r'(?:^|(?<=\s))\(?(?P<a>[a-z])\)(?=\s)', re.MULTILINE)
SIGN = '[\u2190-\u2bff\U0001f000-\U0001faff\ufe0f\u200d]'
_BULLET = re.compile(
    r'^[ \t]*(?:[-*+–—·~]|\\item|\d{1,3}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?'
    rf'|^[ \t]*{SIGN}{{1,4}}[ \t]*'
    r'|(?:^[ \t]*|(?<=\s))[•▪◦‣●∙⁃・][ \t]*',
    re.MULTILINE,
)
_SECTION = re.compile(
    r'\n[ \t]*(?:#{1,6}[ \t]+[^\n]+|\*\*[^*\n]+\*\*:?|__[^_\n]+__:?'
    r'|[^\W\d][^\n:.!?]{0,50}:(?:\*\*)?|[-=*_]{3,})[ \t]*\Z'
)


def from_marks(text: str, expected: int) -> Found | None:
    """Items behind the numbers 1, 2, 3, … or what stands for them, or behind bullets."""
    marks = list(_NUMBER.finditer(text))
    by_line, anywhere = _chains(text, marks, True), _chains(text, marks, False)
    # most items begin a line: then a number inside a sentence is not the next item
    lines = sum(map(len, by_line)) >= 2 and 2 * sum(map(len, by_line)) > sum(map(len, anywhere))
    marks, stop = _wanted(by_line if lines else anywhere, expected)
    words = _wanted(_count(_OTHERS[0].finditer(text)), expected)
    if len(words[0]) >= max(len(marks), 2):
        marks, stop = words
    elif len(marks) < 2:
        counted = [_count(pattern.finditer(text)) for pattern in [*_OTHERS[1:], _LETTERS]]
        others = max((_wanted(chains, expected) for chains in counted), key=lambda o: len(o[0]))
        bullets = list(_BULLET.finditer(text))
        if len(others[0]) >= 2:
            marks, stop = others
        elif len(bullets) > len(marks):
            marks, stop = bullets, None
    if not marks:
        return None
    return _between(text, marks, len(text) if stop is None else stop)


def _between(text: str, marks: list[re.Match], stop: int) -> Found:
    """What stands between the marks, without headings of what follows."""
    ends = [mark.start() for mark in marks[1:]] + [stop]
    items = [text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)]
    items[:-1] = map(_without_section, items[:-1])
    one_line_each = not any('\n' in item for item in items[:-1])
    items[-1] = re.split(
        r'\n' if one_line_each else r'\n\s*\n|\n(?=#|[-=*_]{3,}[ \t]*(?:\n|\Z))',
        items[-1],
        maxsplit=1,
    )[0]
    if not one_line_each:
        items[-1] = _without_section(items[-1])
    return Found(text[: marks[0].start()], items)


def _without_section(item: str) -> str:
    while (heading := _SECTION.search(item)) and not item[: heading.start()].rstrip().endswith(':'):
        item = item[: heading.start()].rstrip()
    return item


_Chain = list[re.Match]


def _wanted(chains: list[_Chain], expected: int) -> tuple[_Chain, int | None]:
    """Of lists in one reply the first that has what was asked for, else all; and their end."""
    for number, chain in enumerate(chains, 1):
        if len(chain) == expected:
            return chain, chains[number][0].start() if number < len(chains) else None
    return [mark for chain in chains for mark in chain], None


def _chains(text: str, marks: _Chain, lines_only: bool) -> list[_Chain]:
    """The marks that count 1, 2, 3, …: only the expected next number opens an item."""
    chains: list[_Chain] = [[]]
    next_number = 1
    zero = next((mark for mark in marks if mark['line'] is not None), None)
    if zero and int(zero['k']) == 0:
        next_number = 0
    last = {int(mark['k']): mark.start() for mark in marks if mark['line'] is not None}
    for mark in marks:
        k, on_line = int(mark['k']), mark['line'] is not None
        restarts = on_line and k == 1 and next_number > 2
        skips = on_line and k == next_number + 1 and last.get(next_number, -1) < mark.start()
        if not (restarts or skips or k == next_number):
            continue
        if on_line or (not lines_only and _opens_inside_line(text, mark)):
            if restarts:
                chains.append([])
            chains[-1].append(mark)
            next_number = k + 1
    return [chain for chain in chains if chain]


def _opens_inside_line(text: str, mark: re.Match) -> bool:
    """Whether a number inside a line opens an item, rather than end a sentence ('bib 2.')."""
    if mark['end'] not in '.)、．）' or re.match(
        rf'\s+{mark["k"]}[.)]\s', text[mark.end() : mark.end() + 20]
    ):
        return False
    ends_line = not text[mark.end() :].partition('\n')[0].strip()
    return not ends_line or text[: mark.start()].rstrip()[-1:] in STOPS


_ROMAN = {'i': 1, 'v': 5, 'x': 10}


def _count(marks) -> list[_Chain]:
    """Marks of one kind that count up from their first, in lists that begin anew."""
    chains: list[_Chain] = []
    word = None
    for mark in marks:
        groups = mark.groupdict()
        k, found = _value(groups), (groups.get('word') or '').casefold()
        if k == 1 and (not chains or len(chains[-1]) > 1):
            chains.append([mark])
            word = found
        elif chains and k == len(chains[-1]) + 1 and found == word:
            chains[-1].append(mark)
    return chains


def _value(groups: dict[str, str]) -> int:
    if groups.get('k'):
        return int(groups['k'])
    if groups.get('a'):
        return ord(groups['a'].lower()) - ord('a') + 1
    digits = [_ROMAN[letter] for letter in groups['r'].lower()]
    return sum(-d if d < max(digits[i:]) else d for i, d in enumerate(digits))


_TITLE = re.compile(r'\s*(?:#{1,6}\s.*|\*\*[^*]+\*\*:?|.*:(?:\*\*)?)\s*\Z')
_GREETING = re.compile(
    r'\s*(?:sure|certainly|of course|absolutely|okay|ok|great)\s*[,.!:—-].{0,120}\Z'
    r"|\s*(?:here (?:are|is)|here's|below are|(?:the )?following|these are)\b.{0,60}"
    r'\b(?:descri|sentence|caption|list|statement|ten\b|\d).{0,60}\Z',
    re.IGNORECASE,
)


def from_lines(text: str) -> Found:
    """Every line an item, but for a title and a greeting before them."""
    lines = [line for line in text.split('\n') if line.strip()]
    while len(lines) > 2 and (_TITLE.match(lines[0]) or _GREETING.match(lines[0])):
        lines = lines[1:]
    if len(lines) == 2 and lines[0].rstrip().endswith(':'):
        lines = lines[1:]
    return Found(text, lines, is_list=False)
