"""Any OpenAI-compatible endpoint: vLLM, Ollama, LM Studio, or a hosted service."""

import asyncio
import base64
import io
import json
import os
import random
import time
from email.utils import parsedate_to_datetime
from typing import Any

import openai
from PIL import Image

from ...errors import InputError
from . import Answer, Generation

pause = asyncio.sleep


class Fault(Exception):
    """An answer that cannot be used, though the request may be repeated."""


class EndpointDescriber:
    """Asks over HTTP, ``concurrency`` requests at a time, and repeats what fails.

    Address and key come from ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` alone, and the key is
    taken out of every text that comes back.

    Args:
        model: As the endpoint names it.
        prompt: What is asked about each image.
        generation: How replies are sampled.
        concurrency: Requests at a time.
        retries: How often a request that failed is repeated.
        image_size: Longest side of the image as it is sent, in pixels.
        timeout: Seconds that one request may take, to its last word.
        backoff: Seconds before the first repetition; doubles each time, to a minute at most.
        stream: Ask for the words as they come.
        send_repetition_penalty: Send that too, though it is no standard field (vLLM knows it).
    """

    batch_size = 1

    def __init__(
        self,
        model: str,
        prompt: str,
        generation: Generation = Generation(),  # noqa: B008  frozen
        concurrency: int = 8,
        retries: int = 5,
        image_size: int = 768,
        timeout: float = 300,
        backoff: float = 1,
        stream: bool = False,
        send_repetition_penalty: bool = False,
    ) -> None:
        if not model:
            raise InputError('--describer openai needs --model, as the endpoint names it')
        self._key = os.environ.get('OPENAI_API_KEY', '')
        if not self._key and not os.environ.get('OPENAI_BASE_URL'):
            raise InputError(
                'set OPENAI_API_KEY, and for an endpoint of your own OPENAI_BASE_URL '
                '(http://localhost:8000/v1, say)'
            )
        self.model, self.prompt, self.concurrency = model, prompt, concurrency
        self.deterministic = generation.temperature == 0
        self.settings: dict[str, Any] = {
            'describer': 'openai',
            'max_tokens': generation.max_new_tokens,
            'temperature': generation.temperature,
            'top_p': generation.top_p,
            'image_size': image_size,
        }
        if send_repetition_penalty:
            self.settings['repetition_penalty'] = generation.repetition_penalty
        self._image_size, self._retries = image_size, retries
        self._timeout, self._backoff, self._stream = timeout, backoff, stream
        self._client = openai.AsyncOpenAI(
            api_key=self._key or 'none', max_retries=0, timeout=timeout
        )
        self._completions: Any = self._client.chat.completions.with_raw_response

    def prepare(self, image: Image.Image) -> str:
        """The image as a data URL: reduced where it is larger, JPEG."""
        image.thumbnail((self._image_size, self._image_size), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        image.save(file, 'JPEG', quality=92)
        return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()

    async def ask(self, images: list[str]) -> list[Answer]:
        """One request for each image."""
        return list(await asyncio.gather(*map(self._ask, images)))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ask(self, image: str) -> Answer:
        """Ask until there is an answer, at most ``1 + retries`` times."""
        for attempt in range(self._retries + 1):
            try:
                return await asyncio.wait_for(self._request(image), self._timeout)
            except (
                openai.AuthenticationError,
                openai.PermissionDeniedError,
                openai.NotFoundError,
            ) as error:
                raise InputError(
                    f'the endpoint refuses model {self.model!r}: {self._clean(error)}; check '
                    'OPENAI_API_KEY, OPENAI_BASE_URL and --model'
                ) from None
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                return Answer(error=self._clean(error))  # the same again, however often
            except Exception as error:  # whatever transport and server can do wrong
                text, wait = self._clean(error), _wait(error, attempt, self._backoff)
            if attempt < self._retries:
                await pause(wait)
        return Answer(error=f'{text} ({self._retries + 1} tries)')

    async def _request(self, image: str) -> Answer:
        content: Any = [
            {'type': 'image_url', 'image_url': {'url': image}},
            {'type': 'text', 'text': self.prompt},
        ]
        extra = {k: v for k, v in self.settings.items() if k == 'repetition_penalty'}
        response = await self._completions.create(
            model=self.model,
            messages=[{'role': 'user', 'content': content}],
            max_tokens=self.settings['max_tokens'],
            temperature=self.settings['temperature'],
            top_p=self.settings['top_p'],
            stream=self._stream,
            **({'stream_options': {'include_usage': True}} if self._stream else {}),
            extra_body=extra,
        )
        await response.http_response.aread()
        body = response.http_response.text
        # some servers stream whatever they were asked for, others never do
        answer = _from_events(body) if body.lstrip().startswith('data:') else _from_json(body)
        return Answer(self._hide(answer.reply), '', answer.tokens_in, answer.tokens_out)

    def _hide(self, text: str) -> str:
        return text.replace(self._key, '***') if self._key else text

    def _clean(self, error: Exception) -> str:
        """One line about an error, without the key."""
        body = getattr(error, 'body', None)  # the client shows it in OpenAI's own form only
        shown = f'{error} {body}' if body and ' - ' not in str(error) else str(error)
        text = ' '.join(self._hide(shown).split())
        return f'{type(error).__name__}: {text}'[:500] if text else type(error).__name__


def _wait(error: Exception, attempt: int, backoff: float) -> float:
    """Seconds until the next try: what the server asks for, or doubling; with jitter."""
    response = getattr(error, 'response', None)
    asked = _seconds(response.headers.get('retry-after', '')) if response is not None else 0
    return max(min(asked, 600), min(60, backoff * 2**attempt)) * random.uniform(1, 1.25)


def _seconds(retry_after: str) -> float:
    """A Retry-After header: seconds or a date; 0 where it is neither."""
    try:
        return float(retry_after)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    except ValueError:
        return 0


def _from_json(body: str) -> Answer:
    try:
        data = json.loads(body)
        text = data['choices'][0]['message']['content']
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise Fault(f'not a chat completion: {body[:100]!r}') from error
    return _answer(text, data.get('usage'))


def _from_events(body: str) -> Answer:
    """Put a stream of server-sent events together; one that breaks off is a fault."""
    text, usage, ended = '', None, False
    for line in body.splitlines():
        if not line.startswith('data:'):
            continue
        if line[5:].strip() == '[DONE]':
            ended = True
            break
        try:
            event = json.loads(line[5:])
            usage = event.get('usage') or usage
            for choice in event.get('choices', [])[:1]:
                text += choice['delta'].get('content') or ''
                ended = ended or choice.get('finish_reason') is not None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise Fault(f'not a chat completion event: {line[:100]!r}') from error
    if not ended:
        raise Fault(f'the answer broke off after {len(text)} characters')
    return _answer(text, usage)


def _answer(text: object, usage: object) -> Answer:
    usage = usage if isinstance(usage, dict) else {}
    counts = (usage.get('prompt_tokens'), usage.get('completion_tokens'))
    if not isinstance(text, str | None):
        raise Fault(f'the reply is no text: {text!r:.100}')
    return Answer(text or '', '', *(n if isinstance(n, int) else 0 for n in counts))
