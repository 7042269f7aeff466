"""Files below a root: spelling, what is missing, what cannot be read."""

import pytest
from PIL import Image

from mmpretrain_lmmreg.datasets.files import (
    locate,
    natural_key,
    require_all,
    some_of,
    unreadable_images,
)
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
    with pytest.raises(MissingInputError) as caught:
        require_all(root, ['top.png', *(f'{i}.jpg' for i in range(1200))], 'BAR', 'Do this.')
    assert str(caught.value) == (
        f'BAR: 1,200 of 1,201 images are missing in {root}: '
        f'0.jpg, 1.jpg, 2.jpg and 1197 more. Do this.'
    )


def test_unreadable_images_by_content_not_by_suffix(root):
    paths = ['Train/a b.jpg', 'Train/png inside.jpg', 'Train/cut.jpg', 'top.png', 'gone.jpg']
    broken = unreadable_images(root, paths)
    assert list(broken) == ['Train/cut.jpg', 'top.png', 'gone.jpg']
    assert 'truncated' in broken['Train/cut.jpg']


def test_natural_order_and_short_lists():
    assert sorted(['a_10', 'a_2', '10', '9', 'b'], key=natural_key) == [
        '9',
        '10',
        'a_2',
        'a_10',
        'b',
    ]
    assert some_of(['a', 'b', 'c']) == 'a, b, c'
