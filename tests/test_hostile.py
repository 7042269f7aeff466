"""Each way to read pictures takes the same pixels from a hostile one, or names it; none hangs."""

import os

import hostile
import numpy as np
import pytest
import torch
from mmpretrain.registry import TRANSFORMS

from mmpretrain_lmmreg.datasets import OwnImages
from mmpretrain_lmmreg.datasets.pictures import read_rgb
from mmpretrain_lmmreg.deploy.predict import find_pictures
from mmpretrain_lmmreg.deploy.standalone import Classifier, read_images
from mmpretrain_lmmreg.describe.tasks import load_image
from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.features.images import ImagesOf

pytestmark = pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')


class Exported(Classifier):
    """The script of an exported folder, of which only the reading of pictures is used."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.preprocess, self.draft = np.asarray, None


class Samples:
    """A data set of pictures with the transform that training uses."""

    def __init__(self, paths):
        self.paths = list(map(str, paths))
        load = TRANSFORMS.build(dict(type='LoadPicture'))
        self.pipeline = type('', (), dict(transforms=[load, self.pack]))

    @staticmethod
    def pack(results):
        return dict(inputs=results['img'][:, :, ::-1])

    def __len__(self):
        return len(self.paths)

    def get_data_info(self, index):
        return dict(img_path=self.paths[index])


def ways(paths):
    """What each way reads of each picture: {way: [pixels or why not]}."""
    samples = ImagesOf(Samples(paths), [os.path.abspath(path) for path in paths])
    described = [load_image(str(path), np.asarray, lambda _: True) for path in paths]
    load = TRANSFORMS.build(dict(type='LoadPicture'))

    def exported(path):
        try:
            return Exported().read(str(path))
        except Exception as error:
            return f'{type(error).__name__}: {error}'

    predicted: dict = {}
    for path, _, picture in read_images(
        list(map(str, paths)), lambda path: load(dict(img_path=path))['img'][:, :, ::-1], predicted
    ):
        predicted[path] = picture
    return {
        'training': [samples[i][1] for i in range(len(samples))],
        'prediction': [predicted[str(path)] for path in paths],
        'describing': [e.error if e.content is None else e.content for e in described],
        'exported': list(map(exported, paths)),
    }


def test_readable_pictures_have_the_same_pixels_everywhere(tmp_path):
    paths = hostile.readable(tmp_path)
    expected = [np.asarray(read_rgb(path)) for path in paths]
    assert all(pixels.ndim == 3 and pixels.dtype == np.uint8 for pixels in expected)
    assert all(pixels.max() > 99 and pixels.min() < 99 for pixels in expected if pixels.size > 3)
    for way, found in ways(paths).items():
        assert len(found) == len(paths)
        for path, pixels, other in zip(paths, expected, found, strict=True):
            assert not isinstance(other, str), (way, path, other)
            np.testing.assert_array_equal(pixels, other, f'{way} {path}')


@pytest.mark.timeout(60)
def test_unreadable_ones_are_named_everywhere(tmp_path):
    paths = hostile.unreadable(tmp_path)
    assert len(paths) + len(hostile.NAMES) > 40
    for way, found in ways(paths).items():
        assert len(found) == len(paths)
        for path, reason in zip(paths, found, strict=True):
            assert isinstance(reason, str) and reason, (way, path)
            if way == 'training':
                assert str(path) in reason
    assert find_pictures([str(tmp_path / 'fifo.jpg')]) == [str(tmp_path / 'fifo.jpg')]


def test_names_that_are_not_utf8_are_named(tmp_path):
    for name in (b'a', b'b'):
        os.mkdir(os.fsencode(tmp_path) + b'/' + name)
        for file in (b'1.jpg', b'\xff\xfe.jpg'):
            open(os.fsencode(tmp_path) + b'/' + name + b'/' + file, 'wb').close()
    with pytest.raises(
        InputError, match=r'2 image names are not UTF-8: .*b/\\xff\\xfe.jpg'
    ) as caught:
        OwnImages(str(tmp_path), 'trainval', test_fraction=0)
    str(caught.value).encode()
