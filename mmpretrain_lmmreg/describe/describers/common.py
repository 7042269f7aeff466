"""What several describers use."""

import asyncio
import math
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from PIL import Image


def reduced(image: Image.Image, max_pixels: int) -> Image.Image:
    """The image with its sides' ratio kept, width times height at most ``max_pixels``."""
    width, height = image.size
    scale = math.sqrt(max_pixels / (width * height))
    if scale >= 1:
        return image
    size = max(int(width * scale), 1), max(int(height * scale), 1)
    return image.resize(size, Image.Resampling.BICUBIC)


def in_new_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine; in a thread of its own where a loop runs, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
