"""OpenAI's chat completions as data: the body of a request, and what an answer says."""

import json
import re
from typing import Any

from ...descriptions.answer import answer_of
from . import REASONED, REJECTED, Answer

FORMATS = ('text', 'json_schema', 'json_object')
FILTERED = ('content_filter', 'content_policy_violation', 'ResponsibleAIPolicyViolation')
_EVENT_FIELDS = ('data:', ':', 'event:', 'id:', 'retry:')
_LINE = re.compile(r'\r\n|\n|\r')  # no other sign ends a line of a stream
_SENT = ('max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'repetition_penalty')
_TEXT_PARTS = ('text', 'output_text')
_THOUGHTS = ('reasoning', 'reasoning_content', 'reasoning_details', 'thinking')
_BEGIN_OF_THOUGHTS = ('<think', '[think]', '◁think▷')
_CUT, _BLOCKED = ('length', 'max_tokens'), ('content_filter', 'safety', 'prohibited_content')
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
    fields = {key: settings[key] for key in (*_SENT, 'response_format') if key in settings}
    fields |= settings.get('body', {})
    sent = {key: value for key, value in fields.items() if value is not None}
    return {'model': model, 'messages': messages, **sent}


def response_format(name: str, count: int) -> dict[str, Any]:
    """What asks for JSON: by a schema of ``count`` strings, or any object."""
    if name == 'json_object':
        return {'type': name}
    # named fields rather than a list: strict schemas do not know lengths everywhere
    names = [str(number) for number in range(1, count + 1)]
    schema = {
        'type': 'object',
        'properties': {name: {'type': 'string'} for name in names},
        'required': names,
        'additionalProperties': False,
    }
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
    return from_completion(_parsed(body, 'not a chat completion'))


def from_completion(data: Any) -> Answer:
    """The answer in a chat completion.

    An answer in a form that is not known has been paid for, so it is an error and no fault.

    Raises:
        Fault: It reports an error, or holds no answer.
    """
    choice = _first(data)
    reason = str(choice.get('finish_reason')).lower()
    error = _dict(data).get('error') or choice.get('error') or (reason == 'error' and choice)
    if error:
        raise Fault(f'the endpoint reports an error: {_words(error)}')
    message = choice.get('message', choice.get('text'))
    if isinstance(message, str):
        message = {'content': message}
    if not isinstance(message, dict):
        raise Fault(f'not a chat completion: {_words(data)}')
    content, refusal = message.get('content'), message.get('refusal')
    text = _text(content)
    tokens = _tokens(_dict(data).get('usage'), bool(text))
    if text is None:
        return Answer('', f'a content of unknown form: {_words(content)}', *tokens, fault=REJECTED)
    refused = bool(refusal) or reason in _BLOCKED
    thoughts = any(message.get(key) for key in _THOUGHTS) or (content and not text)
    thoughts = thoughts or text.lstrip().lower().startswith(_BEGIN_OF_THOUGHTS)
    if thoughts and not refused and not answer_of(text):
        return Answer('', _ONLY_REASONING, *tokens, fault=REASONED)
    finish = 'refused' if refused else 'truncated' if reason in _CUT else ''
    return Answer(text or _text(refusal) or '', '', *tokens, finish)


def _joined_events(body: str) -> dict[str, Any]:
    """A stream of server-sent events as one chat completion; one that breaks off is a fault."""
    message = {'content': '', 'refusal': '', 'reasoning': ''}
    choice: dict[str, Any] = {'message': message}
    usage, ended = None, False
    for line in _LINE.split(body):
        if not line.startswith('data:'):
            continue  # comments, and fields that say nothing here
        if line[5:].strip() == '[DONE]':
            ended = True
            break
        event = _parsed(line[5:], 'not a chat completion event')
        part = _first(event)
        if error := _dict(event).get('error') or part.get('error'):
            raise Fault(f'the endpoint broke off: {_words(error)}')
        delta = part.get('delta') or part.get('message') or {'content': part.get('text')}
        known = not part or part.keys() & {'delta', 'message', 'text', 'finish_reason'}
        if not isinstance(event, dict) or not isinstance(delta, dict) or not known:
            raise Fault(f'not a chat completion event: {line}')
        usage = event.get('usage') or usage
        choice['finish_reason'] = part.get('finish_reason') or choice.get('finish_reason')
        for key in ('content', 'refusal'):
            message[key] += _text(delta.get(key)) or ''
        parts = isinstance(delta.get('content'), list) and delta['content']  # or thoughts in them
        if parts or any(delta.get(key) for key in _THOUGHTS):
            message['reasoning'] = '.'
    if not ended and choice.get('finish_reason') is None:
        raise Fault(f'the answer broke off after {len(message["content"])} characters')
    return {'choices': [choice], 'usage': usage}


def _parsed(text: str, problem: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Fault(f'{problem}: {text}') from None


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
    if isinstance(content, dict):
        inner = content.get('text', content.get('value'))
        return None if inner is None else _text(inner)
    if not isinstance(content, list):
        return None
    parts = [part for part in content if _dict(part).get('type', 'text') in _TEXT_PARTS]
    return '\n'.join(text for text in map(_text, parts) if text)


def _tokens(usage: Any, has_text: bool) -> tuple[int | None, int | None]:
    """Tokens in and out; None for a count that cannot be true."""

    def count(name: str, least: int) -> int | None:
        number = _dict(usage).get(name)
        return number if type(number) is int and least <= number <= _MOST_TOKENS else None

    return count('prompt_tokens', 1), count('completion_tokens', int(has_text))


def _words(part: Any) -> str:
    """What a server sent, as text."""
    try:
        return part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)
    except (ValueError, RecursionError):
        return repr(type(part))
