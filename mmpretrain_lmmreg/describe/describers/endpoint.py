"""Any OpenAI-compatible endpoint: vLLM, Ollama, LM Studio, or a hosted service."""

import asyncio
import base64
import io
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import openai
from PIL import Image

from ...errors import InputError
from . import REJECTED, TOO_LARGE, UNAVAILABLE, Answer, Generation, chat
from .pixels import reduced
from .waits import Pace, wait_before

Client = TypeVar('Client')

pause = asyncio.sleep
SECRET = 16  # characters; shorter keys are placeholders such as "none", words like others
_REFUSED = (401, 403, 404)
_PASSING = (408, 409, 425, 429)  # of the 4xx, those that may be repeated


class EndpointDescriber:
    """Asks over HTTP, ``concurrency`` requests at a time, and repeats what fails.

    Address and key come from ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` alone, and the key is
    taken out of every error; replies are kept as they came.

    Args:
        model: As the endpoint names it.
        prompt: What is asked about each image.
        generation: How replies are sampled.
        concurrency: Requests at a time.
        retries: How often a request that failed is repeated.
        count: Strings that a JSON schema asks for.
        max_pixels: Of an image as it is sent; by default its longest side is ``image_size``.
        requests_per_minute: Requests are sent no faster than that.
        offline: Requests are written, not sent; needs neither address nor key.
        image_size: Longest side of the image as it is sent, in pixels.
        timeout: Seconds that one request may take, to its last word.
        backoff: Seconds before the first repetition; doubles each time, to a minute at most.
        stream: Ask for the words as they come.
        send_repetition_penalty: Send that too, though it is no standard field (vLLM knows it).
        send_sampling: Send temperature and top_p, which some hosted models refuse.
        max_completion_tokens: Sent in place of ``max_tokens``, which some hosted models refuse.
        response_format: ``'json_schema'`` asks for an object of ``count`` strings, or
            ``'json_object'`` for any; plain text where the endpoint refuses that, which one
            request with a grey picture finds out first, so that ``settings`` are those of all
            replies. Not by default: a schema decides which words may come, so that replies are
            not those to the paper's prompt alone.
        system: A system prompt.
        body: Further fields of the request.
    """

    batch_size = 1

    def __init__(
        self,
        model: str,
        prompt: str,
        generation: Generation = Generation(),  # noqa: B008  frozen
        concurrency: int = 8,
        retries: int = 5,
        count: int = 10,
        max_pixels: int | None = None,
        requests_per_minute: float | None = None,
        offline: bool = False,
        image_size: int = 768,
        timeout: float = 300.0,
        backoff: float = 1.0,
        stream: bool = False,
        send_repetition_penalty: bool = False,
        send_sampling: bool = True,
        max_completion_tokens: int = 0,
        response_format: str = 'text',
        system: str = '',
        body: dict[str, Any] | None = None,
    ) -> None:
        if not model:
            raise InputError('--describer openai needs --model, as the endpoint names it')
        if response_format not in chat.FORMATS:
            raise InputError(
                f'--options response_format={response_format}: choose one of '
                f'{", ".join(chat.FORMATS)}'
            )
        self.model, self.prompt, self.concurrency = model, prompt, concurrency
        self.deterministic = generation.temperature == 0
        limit = max_completion_tokens or generation.max_new_tokens
        self.settings: dict[str, Any] = {
            'describer': 'openai',
            'max_completion_tokens' if max_completion_tokens else 'max_tokens': limit,
            **({'max_pixels': max_pixels} if max_pixels else {'image_size': image_size}),
        }
        if send_sampling:
            self.settings |= {'temperature': generation.temperature, 'top_p': generation.top_p}
        if send_repetition_penalty:
            self.settings['repetition_penalty'] = generation.repetition_penalty
        if response_format != 'text':
            self.settings['response_format'] = chat.response_format(response_format, count)
        self.settings |= {k: v for k, v in (('system', system), ('body', body)) if v}
        self._image_size, self._max_pixels, self._retries = image_size, max_pixels, retries
        self._timeout, self._backoff, self._stream = timeout, backoff, stream
        self._pace = Pace(requests_per_minute)
        self._key = os.environ.get('OPENAI_API_KEY', '')
        self._client = None if offline else self._connect(openai.AsyncOpenAI)
        if 'response_format' in self.settings and not offline and not self._takes_format():
            print(
                f'the endpoint takes no {response_format}: asking for plain text', file=sys.stderr
            )
            del self.settings['response_format']

    def _connect(self, client: Callable[..., Client]) -> Client:
        if not self._key and not os.environ.get('OPENAI_BASE_URL'):
            raise InputError(
                'set OPENAI_API_KEY, and for an endpoint of your own OPENAI_BASE_URL '
                '(http://localhost:8000/v1, say)'
            )
        return client(api_key=self._key or 'none', max_retries=0, timeout=self._timeout)

    def _takes_format(self) -> bool:
        """Whether the endpoint answers in the format asked for, or not without it either."""
        body = self.request(self.prepare(Image.new('RGB', (224, 224), (128, 128, 128))))
        client = self._connect(openai.OpenAI)
        try:
            client.post('/chat/completions', body=body, cast_to=object)
        except openai.APIStatusError as error:
            status = error.status_code
            if not 400 <= status < 500 or status in (*_PASSING, *_REFUSED):
                return True
        except Exception:  # whatever else is wrong, the run will tell
            return True
        else:
            return True
        try:
            del body['response_format']
            client.post('/chat/completions', body=body, cast_to=object)
        except Exception:
            return True
        return False

    def prepare(self, image: Image.Image) -> str:
        """The image as a data URL: reduced where it is larger, JPEG."""
        if self._max_pixels:
            image = reduced(image, self._max_pixels)
        else:
            image.thumbnail((self._image_size, self._image_size), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        image.save(file, 'JPEG', quality=92)
        return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()

    def request(self, image: str) -> dict[str, Any]:
        """The body that asks about an image, as :meth:`prepare` made it."""
        return chat.request(self.model, self.prompt, image, self.settings)

    async def ask(self, images: list[str]) -> list[Answer]:
        """One request for each image."""
        return list(await asyncio.gather(*map(self._ask, images)))

    async def close(self) -> None:
        """Close the connections."""
        if self._client:
            await self._client.close()

    async def _ask(self, image: str) -> Answer:
        """Ask until there is an answer, at most ``1 + retries`` times."""
        for attempt in range(self._retries + 1):
            try:
                return await self._send(image)
            except openai.APIStatusError as error:
                if answer := self._final(error):
                    return answer
                text, wait = self._clean(error), wait_before(error, attempt, self._backoff)
            except Exception as error:  # whatever transport and server can do wrong
                text, wait = self._clean(error), wait_before(error, attempt, self._backoff)
            if attempt < self._retries:
                await pause(wait)
        return Answer(error=f'{text} ({self._retries + 1} tries)', fault=UNAVAILABLE)

    def _final(self, error: openai.APIStatusError) -> Answer | None:
        """The answer that a repetition would not change; None where it may.

        Raises:
            InputError: No image will be answered.
        """
        status, text = error.status_code, self._clean(error)
        if status == 402 or 'insufficient_quota' in (error.code, error.type):
            raise InputError(
                f'the account has no credit left: {text}; replies are kept, and the same command '
                'goes on when it has'
            ) from None
        if status in _REFUSED:
            raise InputError(
                f'the endpoint refuses model {self.model!r}: {text}; check '
                'OPENAI_API_KEY, OPENAI_BASE_URL and --model'
            ) from None
        if status == 413:
            return Answer(error=text, fault=TOO_LARGE)
        if error.code in chat.FILTERED:
            return Answer(finish='refused')
        if not 400 <= status < 500 or status in _PASSING:
            return None
        return Answer(error=text, fault=REJECTED)

    async def _send(self, image: str) -> Answer:
        """One request, in its turn and within its time."""
        await self._pace()
        return await asyncio.wait_for(self._post(self.request(image)), self._timeout)

    async def _post(self, body: dict[str, Any]) -> Answer:
        completions: Any = self._client.chat.completions.with_raw_response  # type: ignore[union-attr]
        model, messages = body.pop('model'), body.pop('messages')
        response = await completions.create(
            model=model,
            messages=messages,
            stream=self._stream,
            **({'stream_options': {'include_usage': True}} if self._stream else {}),
            extra_body=body,
        )
        await response.http_response.aread()
        return chat.read(response.http_response.text)

    def _clean(self, error: Exception) -> str:
        """One line about an error, without the key."""
        body = getattr(error, 'body', None)  # the client shows it in OpenAI's own form only
        shown = f'{error} {body}' if body and ' - ' not in str(error) else str(error)
        if self._key:
            shown = shown.replace(f'Bearer {self._key}', 'Bearer ***')
        if len(self._key) >= SECRET:
            shown = shown.replace(self._key, '***')
        text = ' '.join(shown.split())
        return f'{type(error).__name__}: {text}'[:500] if text else type(error).__name__
