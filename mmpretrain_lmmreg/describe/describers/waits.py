"""When the next request may be sent."""

import asyncio
import random
import time
from email.utils import parsedate_to_datetime


class Pace:
    """Awaited before each request, keeps them ``60 / per_minute`` seconds apart."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60 / per_minute if per_minute else 0
        self._next = 0.0

    async def __call__(self) -> None:
        """Wait for the next turn."""
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + self._gap
        if turn > now:
            await asyncio.sleep(turn - now)


def wait_before(error: Exception, attempt: int, backoff: float) -> float:
    """Seconds until the next try: what the server asks for, or doubling; with jitter."""
    response = getattr(error, 'response', None)
    asked = seconds_asked(response.headers.get('retry-after', '')) if response is not None else 0
    return max(min(asked, 600), min(60, backoff * 2**attempt)) * random.uniform(1, 1.25)


def seconds_asked(retry_after: str) -> float:
    """A Retry-After header: seconds or a date; 0 where it is neither."""
    try:
        return float(retry_after)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    except ValueError:
        return 0
