"""OpenAI's chat completions as data: the body of a request, and what an answer says."""

import json
from typing import Any

from . import REASONED, REJECTED, Answer

FORMATS = ('text', 'json_schema', 'json_object')
FILTERED = ('content_filter', 'content_policy_violation', 'ResponsibleAIPolicyViolation')
_EVENT_FIELDS = ('data:', ':', 'event:', 'id:', 'retry:')
_SENT = ('max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'repetition_penalty')
_TEXT_PARTS, _THOUGHTS = ('text', 'output_text'), ('reasoning', 'reasoning_content')
_MOST_TOKENS = 10**9  # of one answer; a larger count is none
_ONLY_REASONING = (
    'all text of the answer is in its reasoning, none in its content: switch the thinking mode '
    'off (--options body.reasoning_effort=none, or '
    'body.chat_template_kwargs.enable_thinking=false), or raise max_new_tokens'
)


class Fault(Exception):
    """What a server sent is no answer; the request may be repeated. Holds the server's words."""


def request(model: str, prompt: str, image: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The body that asks about one image, a data URL, by an endpoint describer's settings."""
    picture = {'type': 'image_url', 'image_url': {'url': image}}
    content = [picture, {'type': 'text', 'text': prompt}]
    messages: list[dict] = [{'role': 'user', 'content': content}]
    if system := settings.get('system'):
        messages.insert(0, {'role': 'system', 'content': system})
    body = {key: settings[key] for key in (*_SENT, 'response_format') if key in settings}
    return {'model': model, 'messages': messages, **body, **settings.get('body', {})}


def response_format(name: str, count: int) -> dict[str, Any]:
    """What asks for JSON: by a schema of ``count`` strings, or any object."""
    if name == 'json_object':
        return {'type': name}
    # named fields rather than a list: strict schemas do not know lengths everywhere
    names = [str(number) for number in range(1, count + 1)]
    properties = {name: {'type': 'string'} for name in names}
    schema: dict[str, Any] = {'type': 'object', 'properties': properties, 'required': names}
    schema['additionalProperties'] = False
    return {
        'type': 'json_schema',
        'json_schema': {'name': 'descriptions', 'strict': True, 'schema': schema},
    }


def read(body: str) -> Answer:
    """The answer in the body of a response with status 200.

    Some servers stream unasked, others do not stream when they are asked to; so the body decides
    how it is read.

    Raises:
        Fault: It is neither a whole chat completion nor a whole stream of one, or it reports an
            error.
    """
    if body.lstrip().startswith(_EVENT_FIELDS):
        return from_completion(_joined_events(body))
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Fault(f'not a chat completion: {body}') from None
    return from_completion(data)


def from_completion(data: Any) -> Answer:
    """The answer in a chat completion.

    An answer in a form that is not known has been paid for, so it is an error and no fault.

    Raises:
        Fault: It reports an error, or holds no answer.
    """
    choice = _first(data)
    if error := _dict(data).get('error') or choice.get('error'):
        raise Fault(f'the endpoint reports an error: {_words(error)}')
    if choice.get('finish_reason') == 'error':
        raise Fault(f'the endpoint reports an error: {_words(choice)}')
    message = choice.get('message')
    if not isinstance(message, dict):
        raise Fault(f'not a chat completion: {_words(data)}')
    text, refusal = _text(message.get('content')), message.get('refusal')
    thoughts = any(message.get(key) for key in _THOUGHTS)
    thoughts = thoughts or (isinstance(message.get('content'), list) and message['content'])
    tokens = _tokens(_dict(data).get('usage'), bool(text))
    if text is None:
        return Answer(
            '', f'a content of unknown form: {_words(message["content"])}', *tokens, fault=REJECTED
        )
    refused = bool(refusal) or choice.get('finish_reason') == 'content_filter'
    if not text and not refused and thoughts:
        return Answer('', _ONLY_REASONING, *tokens, fault=REASONED)
    cut = choice.get('finish_reason') == 'length'
    reply = text or (refusal if isinstance(refusal, str) else '')
    return Answer(reply, '', *tokens, 'refused' if refused else 'truncated' if cut else '')


def _joined_events(body: str) -> dict[str, Any]:
    """A stream of server-sent events as one chat completion; one that breaks off is a fault."""
    message = {'content': '', 'refusal': '', 'reasoning': ''}
    choice: dict[str, Any] = {'message': message}
    usage, ended = None, False
    for line in body.splitlines():
        if not line.startswith('data:'):
            continue  # comments, and fields that say nothing here
        if line[5:].strip() == '[DONE]':
            ended = True
            break
        try:
            event = json.loads(line[5:])
        except (ValueError, RecursionError):
            raise Fault(f'not a chat completion event: {line}') from None
        part = _first(event)
        if error := _dict(event).get('error') or part.get('error'):
            raise Fault(f'the endpoint broke off: {_words(error)}')
        if not isinstance(event, dict) or (part and not isinstance(part.get('delta'), dict)):
            raise Fault(f'not a chat completion event: {line}')
        usage = event.get('usage') or usage
        choice['finish_reason'] = part.get('finish_reason') or choice.get('finish_reason')
        delta = part.get('delta', {})
        message['content'] += _text(delta.get('content')) or ''
        message['refusal'] += _text(delta.get('refusal')) or ''
        for key in _THOUGHTS:
            message['reasoning'] += _text(delta.get(key)) or ''
        if delta.get('content') and not isinstance(delta['content'], str):  # thoughts among parts
            message['reasoning'] += '.'
    if not ended and choice.get('finish_reason') is None:
        raise Fault(f'the answer broke off after {len(message["content"])} characters')
    return {'choices': [choice], 'usage': usage}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(data: Any) -> dict[str, Any]:
    """The first choice, empty where there is none."""
    choices = _dict(data).get('choices')
    return _dict(choices[0]) if isinstance(choices, list) and choices else {}


def _text(content: Any) -> str | None:
    """Text of a content, the text parts of a list joined; None for one of unknown form."""
    if content is None or isinstance(content, str):
        return content or ''
    if not isinstance(content, list):
        return None
    parts = [{'text': part} if isinstance(part, str) else _dict(part) for part in content]
    texts = [part.get('text') for part in parts if part.get('type', 'text') in _TEXT_PARTS]
    return '\n'.join(text for text in texts if isinstance(text, str))


def _tokens(usage: Any, has_text: bool) -> tuple[int | None, int | None]:
    """Tokens in and out; None for a count that cannot be true."""
    found = [_dict(usage).get(key) for key in ('prompt_tokens', 'completion_tokens')]
    tokens_in, tokens_out = (
        n if isinstance(n, int) and least <= n <= _MOST_TOKENS and n is not True else None
        for n, least in zip(found, (1, int(has_text)), strict=True)
    )
    return tokens_in, tokens_out


def _words(part: Any) -> str:
    """What a server sent, as text."""
    try:
        return part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)
    except (ValueError, RecursionError):
        return repr(type(part))
