"""Large JPEG files to pixels: as they are, and decoded smaller."""

from pathlib import Path

import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from mmpretrain_lmmreg.config import config_folder

from .measure import Row, in_turns

FILES, SIZE = 4, (4000, 3000)  # a phone's
DRAFT = 448  # twice what the tower takes
LARGEST = 3  # mean difference of pixels, of 255 values


def decode_row(folder: Path, repeats: int = 5) -> Row:
    """``decode_draft``: ``LoadPicture(draft=448)`` beside all pixels, in one process."""
    folder.mkdir(parents=True)
    paths = [folder / f'{number}.jpg' for number in range(FILES)]
    for number, path in enumerate(paths):
        made_up_photo(number).save(path, quality=90)
    readers = dict(whole=_pipeline(None), draft=_pipeline(DRAFT))
    seconds = in_turns(
        {name: lambda read=read: [read(path) for path in paths] for name, read in readers.items()},
        repeats,
    )
    difference = max(
        abs(readers['draft'](path).float() - readers['whole'](path)).mean().item() for path in paths
    )
    return Row(
        'decode_draft',
        f'JPEG files of 12 megapixels → 224 × 224, files/s of one process, draft={DRAFT} beside '
        'all pixels',
        FILES / seconds['draft'],
        FILES / seconds['whole'],
        seconds['whole'] / seconds['draft'],
        3,
        {f'mean difference of pixels {difference:.2f} ≤ {LARGEST}': difference <= LARGEST},
    )


def made_up_photo(seed: int) -> Image.Image:
    """Large shapes with edges, and the noise of a sensor."""
    rng = np.random.default_rng(seed)
    shapes = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    pixels = np.asarray(shapes.resize(SIZE, Image.Resampling.BICUBIC), np.int16)
    noise = rng.normal(0, 4, pixels.shape).astype(np.int16)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def _pipeline(draft: int | None):
    """Path of a file -> its pixels, as the config's test pipeline reads it."""
    transforms = Config.fromfile(config_folder() / 'lmmreg_bar.py').test_pipeline
    transforms[0].draft = draft
    built = Compose([TRANSFORMS.build(transform) for transform in transforms])
    return lambda path: built(dict(img_path=str(path)))['inputs']
