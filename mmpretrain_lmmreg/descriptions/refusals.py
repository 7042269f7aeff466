"""Whether a reply, or an item of one, is an apology instead of a description."""

import re

_NOT = (
    r"(?:can\s?not|can't|could\s?n['o]t|won't|will\s+not|do(?:n't|\s+not)\s+have\s+the\s+"
    r"(?:ability|capability|means)\s+to|(?:'m|am)\s+(?:currently\s+)?(?:unable|not\s+able)\s+to)"
)
_PICTURE = r'(?:images?|pictures?|photos?|photographs?|visual\w*|attachments?|files?)'
_SEE = r'(?:see|view|access|open|load|display|look\s+at|process|analy[sz]e|interpret|describe)'
_FILLER = (
    r'(?:(?:actually|directly|currently|the|this|that|these|those|any|an|a|your|such|attached'
    r'|uploaded|provided|actual|or|and|view|access)\s+){0,5}'
)
_BLIND = re.compile(
    rf"\b(?:I|we)\s*{_NOT}\s+(?:\w+\s+){{0,2}}?{_SEE}\s+{_FILLER}{_PICTURE}\b(?!'s|\s+(?:clearly|well|of))"
    rf'|\b(?:I|we)\s*{_NOT}\s+(?:actually\s+)?(?:see|view)\s+(?:it|them|anything)\b'
    rf"|\bI\s+(?:don't|do\s+not)\s+(?:\w+\s+)?(?:see|have)\s+(?:\w+\s+){{0,4}}{_PICTURE}"
    rf'|\bno\s+{_PICTURE}\s+(?:(?:was|is|were|has|have)\s+)?(?:been\s+)?'
    r'(?:attached|provided|found|available|uploaded|given|sent)\b'
    rf'|\A\W*(?:there\s+(?:is|was)|I\s+see)\s+no\s+{_PICTURE}\b'
    rf'|\b{_PICTURE}\s+(?:you\s+\w+\s+)?(?:(?:is|was|did|does|has|seems?|appears?|could)(?:\s*n[o\']t|\s+not)|'
    r'failed\s+to)\s+(?:\w+\s+){0,3}(?:load|visible\W*\Z|available|come\s+through|attached|'
    r'upload|provided)'
    rf'|\A\W*(?:error\W+)?(?:unable|cannot|can\s?not|failed)\s+(?:to\s+)?(?:\w+\s+)?{_SEE}\s+{_FILLER}{_PICTURE}'
    r'|(?:\A|[.!?]\s*)\W*please\s+(?:re-?)?(?:upload|provide|share|attach|send|describe)\b'
    r'|\bcould\s+you\s+(?:please\s+)?(?:re-?)?(?:upload|provide|share|attach|send)\b',
    re.IGNORECASE,
)
_SORRY = re.compile(
    r"\A\W*(?:oh\W+)?(?:I(?:'m|\s+am)\s+(?:\w+\s+)?(?:sorry|afraid)\b"
    r'|(?:so\s+|very\s+)?sorry(?:\s*[,.!:;—–-]|\s+(?:but|for|about|I|that|to|no|we|this)\b|\Z)'
    r'|unfortunately\s*,?\s+(?:I|we|no|the\s+image|this|there|as|it)\b|(?:I|my)\s+apolog\w+'
    r'|as\s+an?\s+(?:AI|(?:large\s+)?language|text)\b|I\s+(?:must|have\s+to)\s+(?:decline|refuse)'
    rf'|I\s*{_NOT}\s+(?:\w+\s+)?(?:assist|help|comply|do\s+(?:that|this)|fulfil|provide|continue|complete|'
    r'generate|engage|create|discuss|answer)'
    r"|I(?:'m|\s+am)\s+(?:just\s+|only\s+)?(?:an?\s+)?(?:AI|(?:large\s+)?language|text)[\s-]"
    r"|I(?:'m|\s+am)\s+not\s+(?:comfortable|allowed|permitted|designed|programmed|equipped)"
    r'|(?:this|your|the)\s+(?:request|input|prompt|image|content)\s+(?:\w+\s+){0,3}'
    r'(?:violates?|contains?\s+content\s+that\s+is\s+not|was\s+(?:rejected|blocked|flagged)|'
    r'(?:is|was)\s+against)\b'
    r'|request\s+(?:was\s+)?(?:rejected|refused|blocked))',
    re.IGNORECASE,
)
# the same in other languages; each begins the reply
_SORRY_ELSEWHERE = re.compile(
    r'\A\W*(?:(?:es\s+)?tut\s+mir\s+leid|leider\s+(?:kann|ist|habe)|entschuldig|ich\s+kann\s+(?:\w+\s+)*?'
    r'(?:nicht|keine?)\b|(?:je\s+suis\s+|nous\s+sommes\s+)?d[ée]sol[ée]|malheureusement|'
    r'je\s+ne\s+(?:peux|vois|suis)\s+(?:pas|aucune)|lo\s+siento|lo\s+lamento|perd[oó]n|disculp[ae]|'
    r'no\s+(?:puedo|veo)\s+(?:\w+\s+)?|lamentablemente|mi\s+dispiace|purtroppo|non\s+(?:posso|riesco)\s+|'
    r'desculpe|sinto\s+muito|infelizmente|lamento|n[ãa]o\s+(?:consigo|posso)\s+|het\s+spijt|'
    r'helaas\s+kan|ik\s+kan\s+(?:\w+\s+)*?(?:niet|geen)\b|przykro|przepraszam|niestety|nie\s+mog[ęe]\s|'
    r'omlouv|bohu[žz]el|sajn[áa]l|[üu]zg[üu]n[üu]m|maalesef|tyv[äa]rr|jag\s+kan\s+(?:\w+\s+)?inte|'
    r'beklager|valitettavasti|xin\s+l[ỗo]i|r[ấa]t\s+ti[ếe]c|maaf\b|mohon\s+maaf|'
    r'извините|простите|к\s+сожалению|я\s+не\s+(?:могу|вижу)|вибачте|на\s+жаль|λυπ[άα]μαι|'
    r'很?抱歉|对不起|對不起|我(?:无法|無法|不能|看不到)|无法|無法|申し訳|すみません|画像(?:を|が)(?:見|表示|確認|あり)|'
    r'죄송|이미지를\s*볼\s*수|عذر|آسف|أعتذر|للأسف|क्षमा|मुझे\s+खेद|माफ़|מצטער|סליחה|ขออภัย)',
    re.IGNORECASE,
)
_CANNOT = re.compile(rf'\A\W*I\s*{_NOT}\b', re.IGNORECASE)


def is_refusal(text: str) -> bool:
    """Whether a text apologises in English, or says that there is no image to be seen."""
    return bool(_SORRY.match(_straight(text))) or says_blind(text)


def says_blind(text: str) -> bool:
    """Whether a text, such as the words before a list, says that no image is seen."""
    # 'I cannot name the people, but here are ten descriptions: 1. …' is no refusal
    return bool(_BLIND.search(_straight(text)[:2000]))


def begins_as_refusal(text: str) -> bool:
    """Whether a text with little after it apologises in any language."""
    return is_refusal(text) or bool(_SORRY_ELSEWHERE.match(_straight(text)))


def says_cannot(text: str) -> bool:
    """Whether a text begins with what the LMM cannot do."""
    return bool(_CANNOT.match(_straight(text)))


def _straight(text: str) -> str:
    return ' '.join(text.replace('’', "'").strip(' \n"“*_').split())
