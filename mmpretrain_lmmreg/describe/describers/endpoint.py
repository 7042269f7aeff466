"""Any OpenAI-compatible endpoint: vLLM, Ollama, LM Studio, or a hosted service.

The openai client sends a request and tells errors apart. One try is one request with its turn, its
time and its bytes, and all that goes wrong in it is repeated by one rule: the client would repeat a
bad status with neither a turn nor a limit on the whole, and no error inside a 200.
"""

import asyncio
import base64
import io
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import openai
from PIL import Image

from ...errors import InputError
from . import (
    REJECTED,
    TOO_LARGE,
    UNAVAILABLE,
    Answer,
    Generation,
    chat,
    in_new_loop,
    missing_endpoint,
    reduced,
)

pause = asyncio.sleep
IMAGE_SIZE = 768  # pixels of the longest side of an image as it is sent
MOST_BYTES = 16 << 20  # of an answer; ten sentences, streamed word by word, take a hundredth
LONGEST, ASKED = 60.0, 600.0  # seconds between two tries: by ourselves, and where a server asks
SECRET = 8  # characters; shorter keys are placeholders such as "none"
SHOWN = 500  # characters of an error
_REFUSED = (401, 403, 404)
_PASSING = (408, 409, 425, 429)  # of the 4xx, those that may be repeated


class EndpointDescriber:
    """Asks over HTTP, ``concurrency`` requests at a time, and repeats what fails.

    Address and key come from ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` alone. The key is taken
    out of every error; replies are kept as they came.

    Args:
        model: As the endpoint names it.
        generation: How replies are sampled. The repetition penalty is no standard field, and is
            sent where it is not the default one.
        concurrency: Requests at a time.
        retries: How often a request that failed is repeated.
        count: Strings that a JSON schema asks for.
        max_pixels: Of an image as it is sent; by default its longest side is 768 pixels.
        requests_per_minute: Requests are sent no faster than that.
        offline: Requests are written, not sent; needs neither address nor key.
        timeout: Seconds that one request may take, to its last word.
        backoff: Seconds before the first repetition; doubles each time, to a minute at most.
        stream: Ask for the words as they come.
        max_completion_tokens: Sent in place of ``max_tokens``, which some hosted models refuse.
        response_format: ``'json_schema'`` asks for an object of ``count`` strings,
            ``'json_object'`` for any; plain text where the endpoint refuses that, which one request
            finds out first. Off by default, because constrained decoding changes the replies.
        system: A system prompt.
        body: Further fields of the request; None takes one out, such as ``temperature``.

    Raises:
        InputError: The model, the address or the key is missing, or an option is unknown.
    """

    batch_size = 1

    def __init__(
        self,
        model: str,
        generation: Generation = Generation(),  # noqa: B008  frozen
        concurrency: int = 8,
        retries: int = 5,
        count: int = 10,
        max_pixels: int | None = None,
        requests_per_minute: float | None = None,
        offline: bool = False,
        timeout: float = 300.0,
        backoff: float = 1.0,
        stream: bool = False,
        max_completion_tokens: int = 0,
        response_format: str = 'text',
        system: str = '',
        body: dict[str, Any] | None = None,
    ) -> None:
        if not model:
            raise InputError(
                '--describer openai needs --model, as the endpoint names it', code='describe.model'
            )
        if response_format not in chat.FORMATS:
            raise InputError(
                f'--options response_format={response_format}: choose one of '
                f'{", ".join(chat.FORMATS)}',
                code='describe.option',
            )
        self.model, self.concurrency = model, concurrency
        self.deterministic = generation.temperature == 0
        limit = max_completion_tokens or generation.max_new_tokens
        self.settings: dict[str, Any] = {
            'describer': 'openai',
            'max_completion_tokens' if max_completion_tokens else 'max_tokens': limit,
            **({'max_pixels': max_pixels} if max_pixels else {'image_size': IMAGE_SIZE}),
            'temperature': generation.temperature,
            'top_p': generation.top_p,
        }
        if generation.repetition_penalty != Generation.repetition_penalty:
            self.settings['repetition_penalty'] = generation.repetition_penalty
        if response_format != 'text':
            self.settings['response_format'] = chat.response_format(response_format, count)
        self.settings |= {k: v for k, v in dict(system=system, body=body).items() if v}
        self._max_pixels, self._retries = max_pixels, retries
        self._timeout, self._backoff, self._stream = timeout, backoff, stream
        self._gap, self._next = 60 / requests_per_minute if requests_per_minute else 0, 0.0
        self._answered = False
        self._client: Any = None
        self._key = '' if offline else api_key()
        if response_format != 'text' and not offline and not in_new_loop(self._takes_format()):
            said = f'the endpoint takes no {response_format}: asking for plain text'
            print(said, file=sys.stderr)
            del self.settings['response_format']

    def prepare(self, image: Image.Image) -> str:
        """The image as a data URL: reduced where it is larger, JPEG."""
        if self._max_pixels:
            image = reduced(image, self._max_pixels)
        else:
            image = image.copy()
            image.thumbnail((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        image.save(file, 'JPEG', quality=92)
        return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()

    def request(self, image: str, prompt: str) -> dict[str, Any]:
        """The body that asks about an image, as :meth:`prepare` made it."""
        return chat.request(self.model, prompt, image, self.settings)

    async def ask(self, images: list[str], prompts: list[str]) -> list[Answer]:
        """One request for each image."""
        return list(await asyncio.gather(*map(self._ask, images, prompts)))

    async def close(self) -> None:
        """Close the connections; the next :meth:`ask` opens new ones."""
        client, self._client = self._client, None
        if client:
            await client.close()

    async def _takes_format(self) -> bool:
        """Whether the endpoint answers in the format asked for, or not without it either."""
        body = self.request(self.prepare(Image.new('RGB', (224, 224))), 'Describe the image')
        with suppress(Exception):  # the run will tell
            try:
                await self._send(body)
            except openai.APIStatusError as error:
                if _is_final(error.status_code) and error.status_code not in _REFUSED:
                    del body['response_format']
                    await self._send(body)
                    return False
            finally:
                await self.close()
        return True

    async def _ask(self, image: str, prompt: str) -> Answer:
        """Ask until there is an answer, at most ``1 + retries`` times."""
        text = ''
        for attempt in range(self._retries + 1):
            try:
                answer = await self._send(self.request(image, prompt))
                self._answered = True
                return replace(answer, error=self._shown(answer.error))
            except Exception as error:  # whatever transport and server can do wrong
                if isinstance(error, _TooLong):
                    return Answer(error=str(error), fault=REJECTED)
                if isinstance(error, openai.APIStatusError) and (final := self._final(error)):
                    return final
                self._check_address(error)
                text, wait = self._clean(error), _wait(error, attempt, self._backoff)
            if attempt < self._retries:
                await pause(wait)
        return Answer(error=f'{text} ({self._retries + 1} tries)', fault=UNAVAILABLE)

    async def _send(self, body: dict[str, Any]) -> Answer:
        """One request: in its turn, within its time, no more than ``MOST_BYTES`` of an answer."""
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + self._gap
        await asyncio.sleep(turn - now)
        return await asyncio.wait_for(self._post(body), self._timeout)

    async def _post(self, body: dict[str, Any]) -> Answer:
        self._client = self._client or openai.AsyncOpenAI(
            api_key=self._key or 'none',
            max_retries=0,
            timeout=self._timeout,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={'response': [_limit_bytes]}),
        )
        extra = {key: body[key] for key in body if key not in ('model', 'messages')}
        completions: Any = self._client.chat.completions.with_streaming_response
        async with completions.create(
            model=body['model'],
            messages=body['messages'],
            stream=self._stream,
            **({'stream_options': {'include_usage': True}} if self._stream else {}),
            extra_body=extra,
        ) as response:
            return chat.read((await response.read()).decode(errors='replace'))

    def _final(self, error: openai.APIStatusError) -> Answer | None:
        """The answer that a repetition would not change; raises where no image gets another."""
        status, text = error.status_code, self._clean(error)
        if status == 402 or 'insufficient_quota' in (error.code, error.type):
            raise InputError(
                f'the account has no credit left: {text}; replies are kept, and the same command '
                'continues when it has',
                code='describe.no_credit',
            ) from None
        if status in _REFUSED:
            raise InputError(
                f'the endpoint refuses model {self.model!r}: {text}; check '
                'OPENAI_API_KEY, OPENAI_BASE_URL and --model',
                code='describe.refused_model',
            ) from None
        if status == 413:
            return Answer(error=text, fault=TOO_LARGE)
        if error.code in chat.FILTERED:
            return Answer(finish='refused')
        return Answer(error=text, fault=REJECTED) if _is_final(status) else None

    def _check_address(self, error: Exception) -> None:
        """Say so where an error inside a 200 comes of an address without ``/v1``."""
        parts = urlsplit(os.environ.get('OPENAI_BASE_URL', '').rstrip('/'))
        bare = parts.netloc and not parts.path
        address = f'{parts.scheme}://{parts.netloc.rpartition("@")[2]}'  # without a password
        if bare and isinstance(error, chat.Fault) and not self._answered:
            raise InputError(
                f'no chat completions at OPENAI_BASE_URL={address}: {self._clean(error)}; the '
                f'address of most servers ends in /v1: {address}/v1',
                code='describe.address',
            ) from None

    def _clean(self, error: Exception) -> str:
        """One line about an error, without the key."""
        if isinstance(error, chat.Fault):
            return self._shown(str(error))
        body = getattr(error, 'body', None)  # the client shows it in OpenAI's own form only
        shown = f'{error} {body}' if body and ' - ' not in str(error) else str(error)
        return self._shown(f'{type(error).__name__}: {shown}' if shown else type(error).__name__)

    def _shown(self, text: str) -> str:
        """One line of at most ``SHOWN`` characters, from which the key was taken out first."""
        key = self._key
        forms = {key, json.dumps(key)[1:-1], repr(key)[1:-1], quote(key, safe='')} - {''}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form if len(key) >= SECRET else f'Bearer {form}', '***')
        return ' '.join(text.split())[:SHOWN]


class _TooLong(Exception):
    """A response of more than ``MOST_BYTES``, whatever its status."""


async def _limit_bytes(response: Any) -> None:
    """Let a response that is still to be read end in an error where it is too long."""
    read_parts = response.aiter_bytes

    async def parts(*args: Any, **options: Any) -> AsyncIterator[bytes]:
        size = 0
        async for part in read_parts(*args, **options):
            if (size := size + len(part)) > MOST_BYTES:
                raise _TooLong(f'an answer of more than {MOST_BYTES >> 20} MB')
            yield part

    response.aiter_bytes = parts


def api_key() -> str:
    """The key in ``OPENAI_API_KEY``, empty for an endpoint that needs none."""
    if missing := missing_endpoint('openai'):
        raise InputError(missing, code='describe.no_key')
    key = os.environ.get('OPENAI_API_KEY', '').strip()
    if not key.isascii() or not key.isprintable():
        raise InputError(
            'OPENAI_API_KEY holds characters that cannot be sent: set it to the key alone',
            code='describe.no_key',
        )
    return key


def _is_final(status: int) -> bool:
    """Whether a repetition would get the same status."""
    return 400 <= status < 500 and status not in _PASSING


def _wait(error: Exception, attempt: int, backoff: float) -> float:
    """Seconds until the next try: what the server asks for, or doubling; with jitter."""
    response = getattr(error, 'response', None)
    asked = seconds_asked(response.headers.get('retry-after', '')) if response is not None else 0
    return max(min(asked, ASKED), min(LONGEST, backoff * 2**attempt)) * random.uniform(1, 1.25)


def seconds_asked(retry_after: str) -> float:
    """A Retry-After header: seconds or a date; 0 where it is neither."""
    with suppress(ValueError):
        return float(retry_after) if float(retry_after) > 0 else 0
    with suppress(ValueError, OverflowError):
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    return 0
