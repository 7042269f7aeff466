"""Which files are images, and the one way in which they become pixels.

Needs pillow and NumPy alone: exported classifiers carry a copy of this file.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: What people have as images: a file or folder, a PIL image, a uint8 array (H, W, 3) in RGB, or
#: a batch of all these.
Images: TypeAlias = 'str | PathLike | Image.Image | np.ndarray | Sequence[Images]'
IMAGE_SUFFIXES = (
    *('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.bmp', '.webp', '.tif', '.tiff', '.gif'),
    *('.ppm', '.pgm', '.avif', '.heic', '.heif'),  # the last two with pillow-heif
)
#: Folders that systems make: thumbnails of NAS boxes, bins, archives' resource forks
SYSTEM_FOLDERS = (
    *('@eadir', '#recycle', '$recycle.bin', '__macosx', 'lost+found'),
    'system volume information',
)
_NO_IMAGE = (  # how files begin that are called images and are none
    (b'<!doctype', 'a web page, not an image'),
    (b'<html', 'a web page, not an image'),
    (b'<?xml', 'an XML file, not an image'),
    (b'<svg', 'an SVG drawing, which has no pixels'),
    (b'version https://git-lfs', 'a Git LFS pointer: run git lfs pull'),
    (b'{', 'a JSON text, not an image'),
)
_HEIF = (b'ftypheic', b'ftypheix', b'ftypheif', b'ftypmif1', b'ftypmsf1', b'ftyphevc')
PIXELS = 'sha256:'  # how the name of an image's content begins
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
    with _open(file) as image:
        if max(image.size) > LONGEST * min(image.size):
            raise ValueError(
                f'{image.width} x {image.height} pixels: one side is more than {LONGEST} times the '
                'other; crop the image'
            )
        if draft is not None:
            image.draft(None, (draft, draft))
        ImageOps.exif_transpose(image, in_place=True)
        image.load()  # else a file that is in RGB already stays undecoded
        return _eight_bits(image)


def why_unreadable(file: str | PathLike | IO[bytes], error: Exception) -> str:
    """Why an image could not be read, in words.

    Args:
        file: The image's file, or an open one.
        error: What :func:`read_rgb` raised.
    """
    try:
        if isinstance(file, str | PathLike):
            check_regular(file)
            with open(file, 'rb') as opened:
                start = opened.read(64)
        else:
            file.seek(0)
            start = file.read(64)
    except (OSError, ValueError) as reason:
        return getattr(reason, 'strerror', None) or str(reason)
    if not start:
        return 'an empty file'
    if not start.strip(b'\0'):
        return 'a file of zeros'
    text = start.lstrip(b'\xef\xbb\xbf \r\n\t').lower()
    for beginning, what in _NO_IMAGE:
        if text.startswith(beginning):
            return what
    if start[4:12] in _HEIF and isinstance(error, UnidentifiedImageError):
        return "HEIC needs pillow-heif: pip install 'mmpretrain_lmmreg[heic]'"
    if isinstance(error, UnidentifiedImageError):
        return 'not an image, or of a kind that pillow does not read'
    return str(error) or type(error).__name__


def _open(file: str | PathLike | IO[bytes]) -> Image.Image:
    """Open an image; HEIC by pillow-heif where that is installed."""
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        with suppress(ImportError):
            from pillow_heif import register_heif_opener

            register_heif_opener()
            if not isinstance(file, str | PathLike):
                file.seek(0)
            return Image.open(file)
        raise


def is_image(name: str) -> bool:
    """Whether a file name is visible and ends as an image's does."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.')


def natural_key(name: str) -> tuple:
    """Sort key by which 'a_2' comes before 'a_10'; different names, as '1' and '01', differ."""
    key = []
    for part in filter(None, re.split(r'(\d+)', name)):
        digits = part.lstrip('0')  # as numbers compare, for any number of digits
        key.append((0, len(digits), digits) if part.isdecimal() else (1, 0, part))
    return key, name


def walk_images(
    root: str | PathLike, path: str = '', above: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    """What lies below a folder, in natural order: POSIX path, and why it is no image, or ''.

    Not entered, but named, are hidden folders, those of :data:`SYSTEM_FOLDERS`, and links that
    lead back to a folder above.

    Args:
        root: The folder.
        path: A folder below it, from which to start.
        above: Real paths of the folders that lead to it.
    """
    here = os.path.join(root, path)
    above = (*above, os.path.realpath(here))
    with os.scandir(here) as entries:
        found = sorted(entries, key=lambda entry: natural_key(entry.name))
    for entry in found:
        name = f'{path}/{entry.name}' if path else entry.name
        if not entry.is_dir():
            yield name, '' if is_image(entry.name) else _why_no_image(entry.name)
        elif entry.name.startswith('.') or entry.name.lower() in SYSTEM_FOLDERS:
            yield name, f'folders called {entry.name}'
        elif entry.is_symlink() and os.path.realpath(entry.path) in above:
            yield name, 'links to a folder above'
        else:
            yield from walk_images(root, name, above)


def _why_no_image(name: str) -> str:
    suffix = os.path.splitext(name)[1].lower()
    hidden = 'hidden files' if name.startswith('.') else 'files without a suffix'
    return f'{suffix} files (no images)' if suffix and name[0] != '.' else hidden


def list_images(images: Images) -> Sequence[Path | Image.Image | np.ndarray]:
    """Single images out of what people have: those of a folder as :func:`walk_images` finds them.

    >>> list_images(['a.jpg', 'b.jpg'])
    [PosixPath('a.jpg'), PosixPath('b.jpg')]
    """
    if isinstance(images, str | PathLike):
        path = Path(images)
        if not path.is_dir():
            return [path]
        return [path / name for name, why in walk_images(path) if not why]
    if isinstance(images, Image.Image) or (isinstance(images, np.ndarray) and images.ndim < 4):
        return [images]
    return [image for part in images for image in list_images(part)]


def to_rgb(image: str | PathLike | Image.Image | np.ndarray) -> Image.Image:
    """Decode one image, upright and in RGB, 8 bits a channel; files as :func:`read_rgb` does.

    Raises:
        ValueError: an array that is not uint8 (H, W, 3); what :func:`read_rgb` raises.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f'an array is {image.dtype} {image.shape}, not uint8 (H, W, 3)')
        return Image.fromarray(image)
    if isinstance(image, Image.Image):
        return _eight_bits(ImageOps.exif_transpose(image))
    return read_rgb(image)


def pixel_key(image: str | PathLike | Image.Image | np.ndarray) -> str:
    """The name of an image's content: ``sha256:`` and the digest of its size and RGB pixels.

    Raises:
        ValueError: It cannot be read, or is no image.

    Example:
        >>> pixel_key(Image.new('RGB', (3, 2)))[:19]
        'sha256:632ef0513cf8'
    """
    try:
        rgb = to_rgb(image)
    except Exception as error:  # decoders raise whatever a broken file provokes
        name = 'an image' if isinstance(image, Image.Image | np.ndarray) else image
        raise ValueError(f'{name} cannot be read: {error}') from None
    digest = hashlib.sha256(f'{rgb.width}x{rgb.height}\n'.encode())
    digest.update(rgb.tobytes())
    return PIXELS + digest.hexdigest()


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode == 'F' or image.mode.startswith('I'):
        image = _scaled(image)
    return image if image.mode == 'RGB' else image.convert('RGB')


def _scaled(image: Image.Image) -> Image.Image:
    """A grey picture of more than 8 bits a pixel in 8 bits."""
    values = np.asarray(image, dtype=np.float64)
    tops = {'F': (1, 255, 65535), 'I': (65535, 2**31 - 1)}.get(image.mode, (65535,))
    low, high = values.min(), values.max()
    top = next((top for top in tops if high <= top), None)
    if not low >= 0 or top is None:
        raise ValueError(
            f'grey values from {low:g} to {high:g} have no known range; save the image with 8 or '
            '16 bits'
        )
    return Image.fromarray((values * (255 / top)).round().astype(np.uint8))
