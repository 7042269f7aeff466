"""An image to be described, and what is read of its file."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ..datasets.pictures import check_regular, read_rgb


@dataclass(frozen=True, slots=True)
class Task:
    """An image to be described: its key, its file, its class and group where they are known."""

    image: str
    path: str
    label: int | None = None
    group: str | None = None  # of images that are not independent, such as a video's


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is read of an image file; ``error`` says why ``content`` is missing."""

    sha256: str | None = None
    content: object = None
    error: str = ''


def load_image(
    path: str, prepare: Callable[[Image.Image], object], wanted: Callable[[str | None], bool]
) -> Loaded:
    """Read and hash an image; if it is wanted, also decode (upright, RGB) and prepare it."""
    try:
        check_regular(path)
        data = Path(path).read_bytes()
    except ValueError as error:
        return Loaded(error=f'cannot read the image: {error}')
    except OSError as error:
        return Loaded(error=f'cannot read the image: {error.strerror or error}')
    sha256 = hashlib.sha256(data).hexdigest()
    if not wanted(sha256):
        return Loaded(sha256)
    try:
        return Loaded(sha256, prepare(read_rgb(io.BytesIO(data))))
    except UnidentifiedImageError:  # its own message is an address in memory
        return Loaded(sha256, error='cannot decode the image: its format is unknown to pillow')
    except Exception as error:  # decoders raise whatever a broken file provokes
        return Loaded(sha256, error=f'cannot decode the image: {error}')
