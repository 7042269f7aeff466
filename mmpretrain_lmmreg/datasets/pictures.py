"""The one way in which a picture file becomes pixels, for training, prediction and describing.

Needs pillow and NumPy alone: exported classifiers carry a copy of this file.
"""

import os
import stat
from os import PathLike
from typing import IO

import numpy as np
from PIL import Image, ImageOps

LONGEST = 200  # times the shorter side; the resized strip would take gigabytes


def check_regular(path: str | PathLike) -> None:
    """Raise ValueError for what is there but no file, as a FIFO, whose reader waits for ever."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # not there, or not on a disk: its reader will say so
        return
    if not stat.S_ISREG(mode):
        raise ValueError('not a file but a folder, a pipe or a device')


def read_rgb(file: str | PathLike | IO[bytes], draft: int | None = None) -> Image.Image:
    """Decode a picture upright (EXIF) and in RGB, 8 bits a channel.

    It is what open_clip's preprocessing takes of ``exif_transpose(image).convert('RGB')``: palettes
    are resolved, transparency is dropped, CMYK and 1-bit pictures are converted. Only grey pictures
    of more than 8 bits differ: pillow would cut their values off at 255, which makes them white;
    here they are scaled. 16 bits range to 65,535, as 32 do where no value is above it; floating
    point ranges to the first of 1, 255 and 65,535 that holds all values.

    Args:
        draft: JPEG files are decoded at an eighth, a quarter or half of their size where both sides
            still have so many pixels, which is several times as fast for large ones.

    Raises:
        ValueError: floating point or 32 bits with values below 0, above the range or not finite; a
            side of more than 200 times the other.
    """
    if isinstance(file, str | PathLike):
        check_regular(file)
    with Image.open(file) as image:
        if max(image.size) > LONGEST * min(image.size):
            raise ValueError(
                f'{image.width} x {image.height} pixels: one side is more than {LONGEST} times the '
                'other; cut the picture'
            )
        if draft is not None:
            image.draft(None, (draft, draft))
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode == 'F' or image.mode.startswith('I'):
            return _scaled(image).convert('RGB')
        image.load()  # else a file that is in RGB already stays undecoded
        return image if image.mode == 'RGB' else image.convert('RGB')


def _scaled(image: Image.Image) -> Image.Image:
    """A grey picture of more than 8 bits a pixel in 8 bits."""
    values = np.asarray(image, dtype=np.float64)
    tops = {'F': (1, 255, 65535), 'I': (65535, 2**31 - 1)}.get(image.mode, (65535,))
    low, high = values.min(), values.max()
    top = next((top for top in tops if high <= top), None)
    if not low >= 0 or top is None:
        raise ValueError(
            f'grey values from {low:g} to {high:g} have no known range; save the picture with 8 or '
            '16 bits'
        )
    return Image.fromarray((values * (255 / top)).round().astype(np.uint8))
