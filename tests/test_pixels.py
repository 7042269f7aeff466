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
from refused import refused

from mmpretrain_lmmreg.datasets.pictures import read_rgb
from mmpretrain_lmmreg.deploy.standalone import Classifier

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'

MODES = ['RGB', 'L', 'LA', 'P', 'CMYK', '1', 'RGBA']
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
    return Image.fromarray(pixels if 'A' in mode else pixels[..., :3]).convert(mode)


def assert_same(path, pipeline, preprocess_val):
    with Image.open(path) as image:
        expected = preprocess_val(ImageOps.exif_transpose(image).convert('RGB'))
    torch.testing.assert_close(pipeline(path), expected, rtol=0, atol=1e-6)


def test_modes_and_sizes(tmp_path, pipeline, preprocess_val):
    for mode, size in [*((mode, SIZES[1]) for mode in MODES), *(('RGB', size) for size in SIZES)]:
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


def grey(path, dtype, top):
    """Write a grey ramp up to ``top`` and return it with the ramp in 8 bits."""
    ramp = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    Image.fromarray((ramp * top).astype(dtype)).save(path)
    return np.round(ramp * 255)


@pytest.mark.parametrize(
    ('suffix', 'dtype', 'top'),
    [
        ('.png', np.uint16, 65535),
        ('.tif', np.uint16, 65535),
        ('.tif', np.int32, 65535),
        ('.tif', np.int32, 2**31 - 1),
        ('.tif', np.float32, 1),
        ('.tif', np.float32, 255),
        ('.tif', np.float32, 65535),
    ],
)
def test_grey_of_more_than_8_bits_is_scaled_not_cut_off(tmp_path, suffix, dtype, top):
    expected = grey(tmp_path / f'x{suffix}', dtype, top)
    pixels = np.asarray(read_rgb(tmp_path / f'x{suffix}'))
    assert pixels.shape == (64, 64, 3)
    np.testing.assert_allclose(pixels, expected[..., None].repeat(3, 2), atol=1)


def test_large_jpeg_files_may_be_decoded_smaller(tmp_path):
    smooth = Image.linear_gradient('L').resize((900, 700)).convert('RGB')
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    for name in ('x.jpg', 'x.png'):
        smooth.save(tmp_path / name, exif=exif)
    sizes = {pixels: read_rgb(tmp_path / 'x.jpg', pixels).size for pixels in (701, 350, 175, 10)}
    assert sizes == {701: (700, 900), 350: (350, 450), 175: (175, 225), 10: (88, 113)}
    load = TRANSFORMS.build(dict(type='LoadPicture', draft=350))
    half = load(dict(img_path=str(tmp_path / 'x.jpg')))['img'][:, :, ::-1].astype(float)
    exported = Classifier.__new__(Classifier)
    torch.nn.Module.__init__(exported)
    exported.preprocess, exported.draft = np.asarray, 350
    np.testing.assert_array_equal(exported.read(tmp_path / 'x.jpg'), half)
    whole = np.asarray(read_rgb(tmp_path / 'x.png', 350).resize((350, 450)), float)
    assert abs(half - whole).max() < 3


@pytest.mark.parametrize('draft', [0, -1])
def test_a_size_that_no_picture_has_is_refused(draft):
    with refused('config.out_of_range', match='LoadPicture.draft'):
        TRANSFORMS.build(dict(type='LoadPicture', draft=draft))


def test_a_sample_with_pixels_is_left_alone():
    sample = dict(img=np.zeros((2, 2, 3), np.uint8))
    assert TRANSFORMS.build(dict(type='LoadPicture'))(sample) is sample
