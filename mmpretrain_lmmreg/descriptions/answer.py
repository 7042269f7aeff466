"""The part of a reply that is its answer: without thoughts, other speakers' turns and wrappers."""

import re
import unicodedata

_NAMES = 'think(?:ing)?|thoughts?|reason(?:ing)?|analysis'
_THOUGHTS = re.compile(
    rf'<(?P<name>{_NAMES})>.*?(?:</(?P=name)>|\Z)|◁think▷.*?(?:◁/think▷|\Z)'
    r'|\[THINK\].*?(?:\[/THINK\]|\Z)|<\|begin_of_thought\|>.*?(?:<\|end_of_thought\|>|\Z)'
    r'|<\|channel\|>\s*analysis\b.*?(?:(?=<\|channel\|>\s*final\b)|\Z)',
    re.DOTALL | re.IGNORECASE,
)
# of thoughts whose beginning the chat template wrote
_THOUGHTS_END = re.compile(
    rf'</(?:{_NAMES})>|◁/think▷|\[/THINK\]|<\|end_of_thought\|>'
    r'|<\|channel\|>\s*final\s*(?=<\|message\|>)',
    re.IGNORECASE,
)
_SPECIAL = re.compile(r'</?s>|<\|[\w ]{1,30}\|>|<(?:start|end)_of_turn>|\[/?INST\]')
_ANSWER = re.compile(
    r'^[ \t]*<(?P<tag>answer|output|response|result|descriptions)>(?P<text>.*?)(?:</(?P=tag)>|\Z)',
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_OWN_MARK = re.compile(
    r'\A\s*(?:#{1,6}\s*)?[*_]{0,2}(?:assistant|answer)[*_]{0,2}\s*:[*_]{0,2}', re.IGNORECASE
)
_FINAL = re.compile(r'^[#*_ \t]*final[ \t]+(?:answer|list|descriptions)[*_:\s]*$', re.I | re.M)
_NEXT_TURN = re.compile(
    r'#{3,}[ \t]*(?:(?i:human|user|assistant|system|instruction|input|question|response)\b|\Z|\n)'
    r'|(?<=\S)[ \t]*#{3,}(?!#)|#{3,}(?=[^\s#*\d])|(?:^|(?<=\s))(?:Human|USER|ASSISTANT):'
)
_NUMERAL = re.compile(
    '(?:[0-9]\ufe0f?\u20e3)+|🔟|[①-⑳]|^[ \t]*[０-９]{1,3}[．.、:：)）]', re.MULTILINE
)
_INLINE_TAGS = re.compile(r'</?(?:b|i|u|em|strong|code)>', re.IGNORECASE)


def answer_of(reply: str) -> str:
    """The reply's answer: no thoughts, nothing said for others, plain digits as marks."""
    text = _THOUGHTS.sub('', reply.replace('\r\n', '\n').replace('\r', '\n'))
    text = _SPECIAL.sub('\n', _behind_last(_THOUGHTS_END, text))
    if (answer := _ANSWER.search(text)) and re.search(r'\w', answer['text']):
        text = answer['text']
    text = _behind_last(_FINAL, text)
    text = _NEXT_TURN.split(_OWN_MARK.sub('', text, count=1), maxsplit=1)[0]
    return _INLINE_TAGS.sub('', _NUMERAL.sub(_plain_number, text)).strip()


def _behind_last(mark: re.Pattern, text: str) -> str:
    return text[max((found.end() for found in mark.finditer(text)), default=0) :]


def _plain_number(mark: re.Match) -> str:
    """A keycap, a digit in a ring, or a full-width number, as '1. '."""
    number = '10' if mark[0] == '🔟' else unicodedata.normalize('NFKC', mark[0])
    return re.sub(r'[^0-9]', '', number) + '. '
