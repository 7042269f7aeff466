"""What reaches the trunk equals open_clip's own preprocessing of the upright RGB picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpretrain.registry import MODELS, TRANSFORMS
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image, ImageOps

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'

MODES = ['RGB', 'L', 'P', 'CMYK', '1', 'RGBA']
SIZES = [(224, 224), (301, 225), (225, 301), (97, 640), (640, 97), (333, 331), (50, 50)]


@pytest.fixture(scope='module')
def pipeline():
    cfg = Config.fromfile(CONFIGS / 'lmmreg_bar.py')
    transforms = Compose([TRANSFORMS.build(t) for t in cfg.test_dataloader.dataset.pipeline])
    preprocessor = MODELS.build(cfg.model.data_preprocessor)

    def run(path):
        inputs = transforms(dict(img_path=str(path)))['inputs']
        return preprocessor(dict(inputs=inputs[None]))['inputs'][0]

    return run


@pytest.fixture(scope='module')
def preprocess_val():
    return image_transform_v2(PreprocessCfg(), is_train=False)


def picture(mode, size):
    rng = np.random.default_rng(size[0])
    pixels = rng.integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
    return Image.fromarray(pixels[..., :3] if mode != 'RGBA' else pixels).convert(mode)


def assert_same(path, pipeline, preprocess_val):
    with Image.open(path) as image:
        expected = preprocess_val(ImageOps.exif_transpose(image).convert('RGB'))
    torch.testing.assert_close(pipeline(path), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('size', SIZES, ids=lambda s: f'{s[0]}x{s[1]}')
def test_modes_and_sizes(tmp_path, pipeline, preprocess_val, mode, size):
    path = tmp_path / ('x.tif' if mode == 'CMYK' else 'x.png')
    picture(mode, size).save(path)
    assert_same(path, pipeline, preprocess_val)


def test_jpeg_that_lies_on_its_side(tmp_path, pipeline, preprocess_val):
    path, image = tmp_path / 'x.jpg', picture('RGB', (300, 200))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(path, exif=exif)
        assert_same(path, pipeline, preprocess_val)


def test_bar_images_that_are_png_inside(shared, pipeline, preprocess_val):
    found = [
        path
        for path in sorted((shared / 'data/bar').glob('*/*.jpg'))
        if path.read_bytes()[:4] == b'\x89PNG'
    ]
    assert len(found) == 2
    for path in found:
        assert_same(path, pipeline, preprocess_val)
