"""Pictures that try what reads them: broken, odd, huge, or no pictures at all."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = (60, 44)
NAMES = (
    'two words.png',
    "it's.png",
    '"quoted".png',
    'line\nbreak.png',
    'tab\there.png',
    'escape\x1b[31m.png',
    'caf\u00e9.png',  # composed
    'cafe\u0301s.png',  # with a combining accent
    '\u202egnp.png',
    '写真.png',
    '😀.png',
    '-rf.png',
    '$HOME;`x`.png',
    '%s%n{0}.png',
    'UPPER.PNG',
    f'{"long" * 62}.png',  # 252 bytes
    'dots..png',
    '#hash?query.png',
)


def noise(mode: str = 'RGB', size: tuple[int, int] = SIDE) -> Image.Image:
    """A picture of random pixels, the same each time."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
    return Image.fromarray(pixels if 'A' in mode else pixels[..., :3]).convert(mode)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    """The bytes of a picture's file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def readable(folder: Path) -> list[Path]:
    """Pictures that are to be read, and alike everywhere."""
    files = {name: encoded(noise(), 'PNG') for name in NAMES}
    for mode in ('RGB', 'L', 'LA', 'P', '1', 'RGBA'):
        files[f'{mode}.png'] = encoded(noise(mode), 'PNG')
    files['CMYK.jpg'] = encoded(noise('CMYK'), 'JPEG')
    files['CMYK.tif'] = encoded(noise('CMYK'), 'TIFF')
    files['YCbCr.tif'] = encoded(noise('YCbCr'), 'TIFF')
    files['transparent palette.png'] = encoded(noise('P'), 'PNG', transparency=bytes(range(256)))
    files['png inside.jpg'] = encoded(noise(), 'PNG')
    files['webp inside.png'] = encoded(noise(), 'WEBP', lossless=True)
    files['progressive.jpg'] = encoded(noise(), 'JPEG', progressive=True)
    frames = [noise(size=(30, 30)).rotate(90 * i) for i in range(3)]
    files['animated.gif'] = encoded(frames[0], 'GIF', save_all=True, append_images=frames[1:])
    files['bitmap.bmp'] = encoded(noise(), 'BMP')
    files['grey.pgm'] = encoded(noise('L'), 'PPM')
    files['one pixel.png'] = encoded(noise(size=(1, 1)), 'PNG')
    files['panorama.png'] = encoded(noise(size=(2000, 10)), 'PNG')
    files['text after it.png'] = encoded(noise(), 'PNG') + b'<script>alert(1)</script>'
    ramp = np.linspace(0, 1, 60 * 44).reshape(44, 60)
    for kind, dtype, top in (
        ('PNG', np.uint16, 65535),
        ('TIFF', np.uint16, 65535),
        ('TIFF', np.int32, 2**31 - 1),
        ('TIFF', np.float32, 1),
        ('TIFF', np.float32, 255),
    ):
        name = f'grey {np.dtype(dtype).name} to {top}.{kind.lower()}'
        files[name] = encoded(Image.fromarray((ramp * top).astype(dtype)), kind)
    for orientation in (*range(1, 9), 99):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f'turned {orientation}.jpg'] = encoded(noise(), 'JPEG', exif=exif)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / 'link.png').symlink_to('RGB.png')
    return [*(folder / name for name in files), folder / 'link.png']


def unreadable(folder: Path) -> list[Path]:
    """Files that are to be named, whatever reads them."""
    png, jpg = encoded(noise(), 'PNG'), encoded(noise(size=(90, 90)), 'JPEG')
    files = {'empty.jpg': b'', 'text.jpg': b'no picture', 'zeros.png': bytes(999)}
    files |= {f'cut {i}.png': png[: len(png) * i // 10] for i in range(1, 10)}
    files |= {f'cut {i}.jpg': jpg[: len(jpg) * i // 10] for i in range(1, 10)}
    for name, size in (('bomb', (30000, 30000)), ('wide', (20000, 1)), ('high', (1, 65000))):
        files[f'{name}.png'] = encoded(Image.new('1', size), 'PNG')
    for low, high in ((-1, 1), (0, 1e6), (0, np.nan), (0, np.inf)):
        image = Image.fromarray(np.array([[low, high]], np.float32))
        files[f'float {low} {high}.tif'] = encoded(image, 'TIFF')
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / 'folder.jpg').mkdir()
    os.mkfifo(folder / 'fifo.jpg')
    (folder / 'broken link.jpg').symlink_to('nothing')
    (folder / 'loop.jpg').symlink_to('loop.jpg')
    return [
        *(folder / n for n in (*files, 'folder.jpg', 'fifo.jpg', 'broken link.jpg', 'loop.jpg'))
    ]
