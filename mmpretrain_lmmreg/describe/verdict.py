"""What a reply is worth, by its words and by what the model's server says of its end."""

from ..descriptions.parse import ParsedReply, parse_reply


def judge(reply: str, finish: str = '', expected: int = 10) -> ParsedReply:
    """Descriptions and status of a reply.

    A reply that a token limit has cut loses its last item, which may look whole; one that the
    server calls a refusal has no descriptions, whatever it says.

    Args:
        reply: The LMM's words, whole.
        finish: ``'truncated'``, ``'refused'``, or empty where the server says neither.
        expected: Number of descriptions asked for.
    """
    if finish == 'refused':
        return ParsedReply([], 'refused')
    parsed = parse_reply(reply, expected)
    if finish != 'truncated' or parsed.status == 'refused':
        return parsed
    items = parsed.descriptions
    seen = parsed.status == 'truncated' or (parsed.status == 'long' and len(items) == expected)
    items = items if seen else items[:-1]
    return ParsedReply(items, 'long' if len(items) >= expected else 'truncated')
