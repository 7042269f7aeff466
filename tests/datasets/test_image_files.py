"""Files below a root: spelling, what is missing, what cannot be read."""

import sys

import numpy as np
import pytest
from PIL import Image, features
from refused import refused

from mmpretrain_lmmreg.datasets.files import locate, require_all, some_of, unreadable_images
from mmpretrain_lmmreg.datasets.pictures import list_images, natural_key, read_rgb
from mmpretrain_lmmreg.errors import MissingInputError


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'Train').mkdir()
    Image.effect_noise((64, 64), 50).save(tmp_path / 'Train' / 'a b.jpg')
    Image.new('P', (4, 4)).save(tmp_path / 'Train' / 'png inside.jpg', 'PNG')
    whole = (tmp_path / 'Train' / 'a b.jpg').read_bytes()
    (tmp_path / 'Train' / 'cut.jpg').write_bytes(whole[: len(whole) // 2])
    (tmp_path / 'top.png').write_bytes(b'no image')
    return tmp_path


def test_locate_ignores_case_and_prefers_the_exact_name(root):
    (root / 'Train' / 'A B.jpg').write_bytes(b'')
    paths = ['train/A b.JPG', 'Train/a b.jpg', 'Train/A B.jpg', 'TOP.png', 'no/a.jpg', 'Train/x']
    found = locate(root, paths)
    assert found[1:] == ['Train/a b.jpg', 'Train/A B.jpg', 'top.png', None, None]
    assert found[0].lower() == 'train/a b.jpg'


def test_missing_images_are_counted_and_named(root):
    with refused('data.missing_images', MissingInputError) as caught:
        require_all(root, ['top.png', *(f'{i}.jpg' for i in range(1200))], 'BAR', 'Do this.')
    assert str(caught.value) == (
        f'BAR: 1,200 of 1,201 images are missing in {root}: '
        f'0.jpg, 1.jpg, 2.jpg and 1197 more. Do this.'
    )


def test_names_that_cannot_be_read_or_meant(root):
    for paths, code in (
        (['Train/a b.jpg', 'train/A b.JPG'], 'data.listed_twice'),
        (['\udc80.jpg'], 'data.not_utf8'),
    ):
        with refused(code):
            require_all(root, paths, 'BAR', '')
    with refused('data.missing_images', match=r'top\.png\\u200b'):
        require_all(root, ['top.png\u200b'], 'BAR', '')


def test_images_of_a_folder_in_natural_order_without_those_of_systems(root):
    for name in ('Train/10.jpg', 'Train/9.jpg', '@eaDir/x.jpg', '.git/x.jpg', 'Train/._9.jpg'):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    (root / 'Train' / 'up').symlink_to(root)
    (root / 'Train' / 'other').symlink_to(root / '@eaDir')
    (root / '@eaDir' / 'back').symlink_to(root / 'Train')
    names = [path.relative_to(root).as_posix() for path in list_images(root)]
    last = ['a b.jpg', 'cut.jpg', 'other/x.jpg', 'png inside.jpg']
    assert names == [f'Train/{name}' for name in ('9.jpg', '10.jpg', *last)] + ['top.png']


def test_unreadable_images_by_content_not_by_suffix(root):
    paths = ['Train/a b.jpg', 'Train/png inside.jpg', 'Train/cut.jpg', 'top.png', 'gone.jpg']
    broken = unreadable_images(root, paths)
    assert list(broken) == ['Train/cut.jpg', 'top.png', 'gone.jpg']
    assert 'truncated' in broken['Train/cut.jpg']


@pytest.mark.parametrize('suffix', ['jfif', 'avif', 'heic'])
def test_other_kinds_of_images(root, suffix):
    image = Image.new('RGB', (64, 48), (200, 100, 50))
    file = root / f'a.{suffix}'
    if suffix == 'heic':
        pillow_heif = pytest.importorskip('pillow_heif', reason='pip install pillow-heif')
        pillow_heif.from_pillow(image).save(file)
    elif suffix == 'avif' and not features.check('avif'):
        pytest.skip('this Pillow was built without AVIF')
    else:
        image.save(file, 'JPEG' if suffix == 'jfif' else None)
    read = read_rgb(file)
    assert read.size == (64, 48)
    assert np.abs(np.asarray(read, dtype=int) - np.asarray(image)).max() < 9


def test_what_heic_needs_is_said(root, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pillow_heif', None)
    (root / 'a.heic').write_bytes(b'\0\0\0\x18ftypheic\0\0\0\0mif1heic')
    assert 'pip install' in unreadable_images(root, ['a.heic'])['a.heic']


def test_natural_order_and_short_lists():
    names = ['9', '10', 'a_2', 'a_10', 'b']
    assert sorted(sorted(names), key=natural_key) == names
    assert some_of(['a', 'b', 'c']) == 'a, b, c'
