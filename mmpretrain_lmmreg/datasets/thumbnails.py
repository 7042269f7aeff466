"""Small pictures that a page carries within itself."""

import base64
import io
from pathlib import Path

from PIL import Image

from .pictures import read_rgb


def thumbnail(path: Path, pixels: int = 320) -> str | None:
    """A small JPEG of an image file as a data URI; None where it cannot be read.

    ``pixels`` is its longer side.
    """
    try:
        small = read_rgb(path)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    small.thumbnail((pixels, pixels))
    file = io.BytesIO()
    small.save(file, 'jpeg', quality=80)
    return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()
