"""From an LMM's reply to a list of descriptions; plain functions that never raise."""

import re
from dataclasses import dataclass

from .answer import answer_of
from .lists import SIGN, STOPS, from_lines, from_marks
from .refusals import begins_as_refusal, is_refusal, says_blind, says_cannot
from .structured import Found, from_json, from_table

STATUSES = ('ok', 'long', 'short', 'truncated', 'refused', 'empty', 'error')
"""What a reply can be, best first; ``error`` (no reply at all) is never the parser's verdict."""


@dataclass(frozen=True)
class ParsedReply:
    """Descriptions found in a reply, in its order, and one of :data:`STATUSES`."""

    descriptions: list[str]
    status: str


def parse_reply(reply: str, expected: int = 10, finish: str = '') -> ParsedReply:
    """Read the descriptions out of a reply, and say what kind of reply it is.

    Lists behind numbers or bullets (numbers also on one line), JSON, tables and plain lines are
    read, with or without a preamble. Thoughts, a turn that the LMM invented (``###``,
    ``Human:``), headings, closing remarks, repeats and an unfinished last item are left out.

    Args:
        reply: The LMM's words, whole.
        expected: Number of descriptions asked for.
        finish: What the server says: ``'truncated'``, at a token limit, so that the last item is
            cut though it may look whole; ``'refused'``; or nothing.

    Returns:
        Descriptions and status: ``ok`` (as many as expected), ``long`` (more; all are kept),
        ``short`` (fewer), ``truncated`` (fewer, and the last one is unfinished), ``refused`` (none,
        so that no apology enters a class mean) or ``empty``. No reply raises an error.

    Example:
        >>> parse_reply('Sure!\\n1. A dog runs.\\n2. It is brown.', expected=2)
        ParsedReply(descriptions=['A dog runs.', 'It is brown.'], status='ok')
        >>> parse_reply('1. A cat.\\n2. A do', expected=2, finish='truncated')
        ParsedReply(descriptions=['A cat.'], status='truncated')
    """
    text = answer_of(reply)
    found = _find(text)
    if finish == 'refused' or _is_refusal(found, expected):
        return ParsedReply([], 'refused')
    items = [_clean(item) for item in found.items]
    items = _without_label(_without_remarks(items, found.is_list and len(items) <= expected))
    cut = found.cut or _last_is_unfinished(items)
    whole = items[:-1] if cut and not found.cut else items
    unique: dict[str, str] = {}
    for item in filter(re.compile(r'\w').search, whole):
        if not (found.is_list and is_refusal(item)):
            unique.setdefault(item.casefold(), item)
    descriptions = list(unique.values())
    if finish == 'truncated' and not cut:
        descriptions, cut = descriptions[:-1], True
    return ParsedReply(descriptions, _status(descriptions, cut, expected))


def _status(descriptions: list[str], cut: bool, expected: int) -> str:
    if len(descriptions) >= expected and descriptions:
        return 'long' if cut or len(descriptions) > expected else 'ok'
    return 'truncated' if cut else 'short' if descriptions else 'empty'


def _find(text: str) -> Found:
    found = from_json(text) or from_table(text)
    if found and len(found.items) == 1 and '\n' in found.items[0]:
        text, found = found.items[0], None  # a list within a text of JSON
    listed = from_marks(text)
    if found and listed and len(listed.items) > len(found.items):
        found = None if len(listed.preamble) < len(found.preamble) else found
    return found or listed or from_lines(text)


def _is_refusal(found: Found, expected: int) -> bool:
    if found.is_list and says_blind(found.preamble):
        return True
    count, first = len(found.items), found.items[0] if found.is_list else found.preamble
    # among many good items 'I cannot see his face' describes, and 'Leider …' does not apologise
    return (
        is_refusal(first)
        or (count < max(3, expected // 2) and begins_as_refusal(first))
        or (count < 3 and says_cannot(first))
    )


_ENDS = tuple(STOPS + '"”’\')]»」')


def _last_is_unfinished(items: list[str]) -> bool:
    """The last item is empty, or alone has no full stop: the token limit was reached."""
    if not items or (items[-1] and len(items) == 1):
        return False
    return not items[-1] or (
        not items[-1].endswith(_ENDS) and all(item.endswith(_ENDS) for item in items[:-1])
    )


_REMARK = re.compile(
    r'(?:I (?:hope|trust|can also|can provide)|hope (?:this|these|that)|let me know'
    r'|(?:please )?feel free|would you like|do you (?:want|need|have)|is there anything'
    r"|if you(?:'d| would| need| want| have)|please let me|this list|(?:please )?note(?: that|:)"
    r'|these (?:\w+ ){0,3}(?:descriptions|sentences|statements)|happy to (?:help|provide)'
    r'|enjoy!|anything else'
    r"|you're welcome|thanks?(?: you)?(?:!| for|\.)|\(?(?:word|token) count"
    r'|\(?(?:total|end of)\b[^.]*(?:descriptions|list))',
    re.IGNORECASE,
)
_SENTENCE = re.compile(r'(?<=[.!?…"”)])\s+(?=\(?[A-Z*])')


def _without_remarks(items: list[str], all_marked: bool) -> list[str]:
    """Without what is said to the user after the last description."""
    items = list(items)
    while not all_marked and len(items) > 1 and _REMARK.match(items[-1].lstrip('*_( ')):
        items.pop()
    if items:
        kept = items[-1]
        for gap in _SENTENCE.finditer(items[-1]):
            if _REMARK.match(items[-1][gap.end() :].lstrip('*_( ')):
                kept = items[-1][: gap.start()]
                break
        items[-1] = kept
    return items


_LABEL = re.compile(
    r'((?:semantic )?(?:desc|sentence|caption|item|statement|text|beschreib|frase|phrase|описан'
    r'|描述|説明|설명)\w*)\s*#?\d{0,3}\s*[:：]\s*(?=\S)',
    re.IGNORECASE,
)


def _without_label(items: list[str]) -> list[str]:
    """Without a word and colon that begin every item, as in 'Description: A dog.'"""
    labels = [_LABEL.match(item) for item in items if item]
    if len(labels) == 2 or not all(labels):
        return items
    if len({label[1].casefold() for label in labels if label}) > 1:
        return items
    return [_LABEL.sub('', item, count=1) for item in items]


_LEADING = re.compile(rf'(?:(?:[-*•–—:|+](?!\s\d)|\[[ xX]\])\s+|{SIGN}\s*)+')
_EMPHASIS = re.compile(r'(?<![\w*_])([*_])(?=\S)([^*_\n]+?)(?<=\S)\1(?![\w*_])')
_QUOTES = re.compile(
    r'"([^"]+)",?|“([^“”]+)”,?|«([^«»]+)»|„([^„“”]+)[“”]|「([^「」]+)」|\'((?:[^\']|\'(?=\w))+)\',?'
)


def _clean(item: str) -> str:
    """One line, without Markdown's emphasis and without quotes around the whole."""
    line = ' '.join(item.replace('**', '').replace('__', '').split())
    line = line[mark.end() :] if (mark := _LEADING.match(line)) else line
    line = _EMPHASIS.sub(r'\2', line).strip('*_` ')
    quoted = _QUOTES.fullmatch(line)
    return next(part for part in quoted.groups() if part).strip() if quoted else line
