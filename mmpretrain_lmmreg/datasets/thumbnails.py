"""Small pictures that a page carries within itself."""

import base64
import io
from pathlib import Path, PurePosixPath

from PIL import Image

from .pictures import read_rgb


def thumbnail(root: str, path: str, pixels: int = 320) -> str | None:
    """A small JPEG of an image below a data root as a data URI, ``pixels`` on its longer side.

    None where it cannot be read, or where the name, which may be from somebody's results, leads
    out of the data root.
    """
    if PurePosixPath(path).is_absolute() or '..' in PurePosixPath(path).parts:
        return None
    try:
        small = read_rgb(Path(root, path))
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    small.thumbnail((pixels, pixels))
    file = io.BytesIO()
    small.save(file, 'jpeg', quality=80)
    return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()
