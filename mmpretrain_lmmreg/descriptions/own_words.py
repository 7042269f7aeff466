"""The part of a reply that is its answer: without thoughts, other speakers' turns and wrappers."""

import re
import unicodedata

_NAMES = 'think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad'
_THOUGHTS = re.compile(
    rf'(?:<(?P<name>{_NAMES})>.*?(?:</(?P=name)>|\Z)|◁think▷.*?(?:◁/think▷|\Z)'
    r'|\[(?-i:THINK)\].*?(?:\[/THINK\]|\Z))',
    re.DOTALL | re.IGNORECASE,
)
_THOUGHTS_END = re.compile(
    rf'</(?:{_NAMES})>|◁/think▷|\[(?-i:/THINK)\]'
    r'|<\|(?:end_of_thought|/think)\|>|<\|channel\|>\s*final\s*(?=<\|message\|>)',
    re.IGNORECASE,
)
_THOUGHTS_BEGIN = re.compile(r'<\|(?:begin_of_thought|think)\|>|<\|channel\|>\s*analysis\b')
_ECHO = re.compile(
    r'\A\s*(?:(?:USER|Human|User):.*?(?:ASSISTANT|Assistant):'
    r'|\[INST\].*?\[/INST\]|(?:system\n.*?\n)?user\n.*?\n(?:assistant|model)\n)',
    re.DOTALL,
)
_SPECIAL = re.compile(r'</?s>|<\|[\w ]{1,30}\|>|<(?:start|end)_of_turn>|\[/?INST\]')
_ANSWER = re.compile(
    r'(?:^|(?<=>))[ \t]*<(?P<tag>answer|output|response|result|final|final_answer)>\s*'
    r'(?P<text>.*?)(?:</(?P=tag)>|\Z)',
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_OWN_MARK = re.compile(
    r'\A\s*(?:#{1,6}\s*)?[*_]{0,2}(?:assistant|(?:final[ \t]+)?answer)[*_]{0,2}\s*:[*_]{0,2}',
    re.IGNORECASE,
)
_FINAL = re.compile(
    r'^[ \t]*(?:#{1,6}[ \t]*)?[*_]{0,2}(?:(?:my|the)[ \t]+)?final[ \t]+(?:answer|list|descriptions)'
    r'[*_]{0,2}[ \t]*(?::[*_]{0,2}|$)',
    re.IGNORECASE | re.MULTILINE,
)
_HEADING = re.compile(r'\A\s*#{1,6}[ \t]+(?![^\n]*\d[ \t]*[:.)*]*[ \t]*\n)(?!\d)[^\n:]*:?[ \t]*\n')
_ROLES = r'human|user|assistant|system|instruction|input|question|response|ask|end'
_NEXT_TURN = re.compile(
    rf'#{{3,}}[ \t]*(?:(?i:{_ROLES})\b|\Z|\n)|(?<=\S)[ \t]*#{{3,}}(?!#)|#{{3,}}(?=[^\s#*\d])'
    r'|(?:^|(?<=\s))(?:Human|HUMAN|User|USER|Ask|ASSISTANT):'
)
_KEYCAPS = re.compile('(?:[0-9]\ufe0f?\u20e3)+|🔟')
_RINGED = re.compile('[①-⒛⓪⓵-⓾❶-➓]')
_WIDE = re.compile(r'^[ \t]*[０-９]{1,3}(?=[.．、:：)）])', re.MULTILINE)
_ESCAPED = re.compile(r'\\([.)\]#*+_-])')
_INLINE_TAGS = re.compile(r'</?(?:b|i|u|em|strong|span|mark|code|sup|sub)(?:\s[^<>]*)?>', re.I)


def own_words(reply: str) -> str:
    """The reply's answer: no thoughts, nothing said for others, plain digits as marks."""
    text = reply.replace('\r\n', '\n').replace('\r', '\n')
    text = _without_thoughts(text)
    text = _SPECIAL.sub('\n', _ECHO.sub('', text, count=1))
    answer = _ANSWER.search(text)
    if answer and re.search(r'\w', answer['text']):
        text = answer['text']
    for final in _FINAL.finditer(text):
        text = final.string[final.end() :]
    text = _HEADING.sub('', _OWN_MARK.sub('', text, count=1))
    text = _NEXT_TURN.split(text, maxsplit=1)[0].strip()
    return _plain_marks(text).strip()


def _without_thoughts(text: str) -> str:
    text = _THOUGHTS.sub('', text)
    for end in _THOUGHTS_END.finditer(text):
        text = end.string[end.end() :]  # of thoughts whose beginning the chat template wrote
    begin = _THOUGHTS_BEGIN.search(text)
    return text[: begin.start()] if begin else text


def _plain_marks(text: str) -> str:
    """Keycaps and digits in rings as '1. ', Markdown's escapes and inline tags taken off."""
    text = _KEYCAPS.sub(
        lambda cap: ('10' if cap[0] == '🔟' else re.sub(r'\D', '', cap[0])) + '. ', text
    )
    text = _RINGED.sub(lambda ring: f'{int(unicodedata.numeric(ring[0]))}. ', text)
    text = _WIDE.sub(lambda digits: unicodedata.normalize('NFKC', digits[0]), text)
    if '\n' not in text:
        text = re.sub(r'\\n(?=\s*\W?\d)', '\n', text)
    if not text.startswith(('{', '[', '"', '`')):
        text = _ESCAPED.sub(r'\1', text)
    return _INLINE_TAGS.sub('', text)
