"""OpenAI's chat completions as data: the body of a request, and what an answer says."""

import json
from typing import Any

from . import Answer

FORMATS = ('text', 'json_schema', 'json_object')
FILTERED = ('content_filter', 'content_policy_violation', 'ResponsibleAIPolicyViolation')
_EVENT_FIELDS = ('data:', ':', 'event:', 'id:', 'retry:')
_SENT_AS_THEY_ARE = (
    *('max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'repetition_penalty'),
)


class Fault(Exception):
    """An answer that cannot be used, though the request may be repeated."""


def request(model: str, prompt: str, image: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The body that asks about one image.

    Args:
        model: As the endpoint names it.
        prompt: What is asked.
        image: A data URL.
        settings: Those of :class:`~.endpoint.EndpointDescriber`.
    """
    content = [
        {'type': 'image_url', 'image_url': {'url': image}},
        {'type': 'text', 'text': prompt},
    ]
    messages: list[dict] = [{'role': 'user', 'content': content}]
    if system := settings.get('system'):
        messages.insert(0, {'role': 'system', 'content': system})
    body = {key: settings[key] for key in _SENT_AS_THEY_ARE if key in settings}
    if form := settings.get('response_format'):
        body['response_format'] = form
    return {'model': model, 'messages': messages, **body, **settings.get('body', {})}


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
    """The answer in a body: JSON, or server-sent events where a server streams unasked.

    Raises:
        Fault: It is no whole chat completion.
    """
    is_stream = body.lstrip().startswith(_EVENT_FIELDS)
    if is_stream:
        return _from_events(body)
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Fault(f'not a chat completion: {body[:100]!r}') from error
    return from_completion(data)


def from_completion(data: Any) -> Answer:
    """The answer in a chat completion that has been read; raises Fault where it is none."""
    try:
        choice = data['choices'][0]
        message = choice['message']
        text, refusal = message['content'], message.get('refusal')
        reason = choice.get('finish_reason')
    except (LookupError, TypeError, AttributeError) as error:
        raise Fault(f'not a chat completion: {json.dumps(data)[:100]!r}') from error
    return _answer(text, refusal, reason, data.get('usage'))


def _from_events(body: str) -> Answer:
    """Put a stream of server-sent events together; one that breaks off is a fault."""
    text, refusal, reason, usage, ended = '', '', None, None, False
    for line in body.splitlines():
        if not line.startswith('data:'):
            continue  # comments, and fields that say nothing here
        if line[5:].strip() == '[DONE]':
            ended = True
            break
        try:
            event = json.loads(line[5:])
            if event.get('error'):
                raise Fault(f'the endpoint broke off: {json.dumps(event["error"])[:200]}')
            usage = event.get('usage') or usage
            for choice in event.get('choices', [])[:1]:
                text += choice['delta'].get('content') or ''
                refusal += choice['delta'].get('refusal') or ''
                reason = choice.get('finish_reason') or reason
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise Fault(f'not a chat completion event: {line[:100]!r}') from error
    if not ended and reason is None:
        raise Fault(f'the answer broke off after {len(text)} characters')
    return _answer(text, refusal, reason, usage)


def _answer(text: object, refusal: object, reason: object, usage: object) -> Answer:
    usage = usage if isinstance(usage, dict) else {}
    counts = (usage.get('prompt_tokens'), usage.get('completion_tokens'))
    if not isinstance(text, str | None):
        raise Fault(f'the reply is no text: {text!r:.100}')
    refused = bool(refusal) or reason == 'content_filter'
    finish = 'refused' if refused else 'truncated' if reason == 'length' else ''
    reply = text or (refusal if isinstance(refusal, str) else '')
    tokens_in, tokens_out = (n if isinstance(n, int) else None for n in counts)
    return Answer(reply, '', tokens_in, tokens_out, finish)
