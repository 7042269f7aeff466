"""Images reduced to what a model looks at."""

import math

from PIL import Image


def reduced(image: Image.Image, max_pixels: int) -> Image.Image:
    """The image with its sides' ratio kept, width times height at most ``max_pixels``."""
    width, height = image.size
    scale = math.sqrt(max_pixels / (width * height))
    if scale >= 1:
        return image
    size = max(int(width * scale), 1), max(int(height * scale), 1)
    return image.resize(size, Image.Resampling.BICUBIC)
