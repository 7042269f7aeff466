"""A small OpenAI-compatible server on loopback that answers, fails and dawdles as told."""

import asyncio
import base64
import hashlib
import json
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

KEY = 'sk-secret-7731'
NAMES = 'rope snow helmet rider wave pole track net boat glove ridge crowd'
WORDS = NAMES.split()


def reply_for(image: bytes, count: int = 10) -> str:
    """A fixed reply for each image."""
    code = hashlib.sha256(image).digest()
    return '\n'.join(
        f'{i}. A {WORDS[code[i] % len(WORDS)]} beside number {code[i + 12]} of {i}.'
        for i in range(1, count + 1)
    )


class Loopback:
    """Serves chat completions from a thread of its own.

    Args:
        behave: (number of the request, image bytes, earlier requests of this image) -> name of a
            behaviour in :meth:`_answer`, or a reply to give.
        latency: Seconds before each answer.
        slots: Answers worked on at a time; any number by default.
        wait: Retry-After of error statuses.
    """

    def __init__(
        self,
        behave: Callable[[int, bytes, int], str] = lambda *_: 'ok',
        latency: float = 0,
        slots: int | None = None,
        wait: str = '',
    ) -> None:
        self.behave, self.latency, self.slots, self.wait = behave, latency, slots, wait
        self.asked: Counter[bytes] = Counter()
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict] = []
        self.at_once = self.most_at_once = 0

    def __enter__(self) -> 'Loopback':
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._gate = asyncio.Semaphore(self.slots or 10_000)
        server = await asyncio.start_server(self._connection, '127.0.0.1', 0, limit=1 << 24)
        self.url = f'http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1'
        ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._request(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b'\r\n\r\n')).decode().split('\r\n')
        headers = {k.lower(): v.strip() for k, _, v in (h.partition(':') for h in head[1:]) if k}
        body = json.loads(await reader.readexactly(int(headers['content-length'])))
        url = body['messages'][-1]['content'][0]['image_url']['url']
        image = base64.b64decode(url.partition(',')[2])
        behaviour = self.behave(len(self.bodies), image, self.asked[image])
        self.asked[image] += 1
        if behaviour == 'no schema':
            behaviour = '400' if 'response_format' in body else 'ok'
        self.headers.append(headers)
        self.bodies.append(body)
        async with self._gate:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            await asyncio.sleep(self.latency)
            self.at_once -= 1
        return await self._answer(writer, behaviour, image, headers)

    async def _answer(self, writer, behaviour: str, image: bytes, headers: dict) -> bool:
        text = reply_for(image)
        completion = _completion(text)
        if behaviour == 'ok':
            return _send(writer, 200, completion)
        if behaviour in ('stream', 'half stream'):
            return _send(writer, 200, _events(text, behaviour == 'stream'), 'text/event-stream')
        if behaviour == 'echo key':
            return _send(writer, 401, json.dumps({'detail': headers['authorization']}).encode())
        if behaviour.isdecimal():
            return _send(writer, int(behaviour), b'{"error": "as told"}', retry_after=self.wait)
        if behaviour.startswith('error '):  # error STATUS CODE MESSAGE
            _, status, code, message = behaviour.split(' ', 3)
            body = {'error': {'message': message, 'code': code}}
            return _send(writer, int(status), json.dumps(body).encode())
        if behaviour.startswith('body '):
            return _send(writer, 200, behaviour[5:].encode())
        if behaviour == 'dribble':
            _send(writer, 200, b'', length=1 << 30)
            with suppress(ConnectionError):
                while True:
                    writer.write(b' ' * 64)
                    await writer.drain()
                    await asyncio.sleep(0.02)
            return False
        if behaviour == 'cut':
            _send(writer, 200, completion[: len(completion) // 2], length=len(completion))
            return False
        if behaviour == 'reset':
            linger = struct.pack('ii', 1, 0)
            writer.get_extra_info('socket').setsockopt(1, 13, linger)  # SOL_SOCKET, SO_LINGER
            return False
        if behaviour == 'hang':
            await asyncio.sleep(3600)
        return _send(writer, 200, _completion(behaviour))


def _completion(text: str) -> bytes:
    usage = {'prompt_tokens': 100, 'completion_tokens': 50}
    message = {'role': 'assistant', 'content': text}
    return json.dumps({'choices': [{'message': message}], 'usage': usage}).encode()


def _send(
    writer, status: int, body: bytes, kind='application/json', length=None, retry_after=None
) -> bool:
    extra = f'Retry-After: {retry_after}\r\n' if retry_after else ''
    writer.write(
        f'HTTP/1.1 {status} Told\r\nContent-Type: {kind}\r\n{extra}'
        f'Content-Length: {len(body) if length is None else length}\r\n\r\n'.encode()
        + body
    )
    return True


def _events(text: str, whole: bool) -> bytes:
    pieces = [text[i : i + 20] for i in range(0, len(text), 20)]
    events = [{'choices': [{'delta': {'content': p}, 'finish_reason': None}]} for p in pieces]
    if whole:
        events.append({'choices': [{'delta': {}, 'finish_reason': 'stop'}]})
        events.append({'choices': [], 'usage': {'prompt_tokens': 100, 'completion_tokens': 50}})
    lines = [f'data: {json.dumps(event)}\n\n' for event in events]
    return ''.join([*lines, 'data: [DONE]\n\n'] if whole else lines).encode()
