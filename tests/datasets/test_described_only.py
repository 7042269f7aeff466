"""Data sets that are described in part."""

import json
import shutil

import pytest
from mmpretrain.registry import DATASETS
from refused import refused

PARTS = dict(train=(8, 5), test=(4, 2))  # images of a class, and how many of them are described


@pytest.fixture
def root(pictures, tmp_path):
    """BAR's layout; of each class some images are described, and one was refused."""
    lines = []
    for part, (count, described) in PARTS.items():
        (tmp_path / part).mkdir()
        for name in ('climbing', 'diving'):
            for i in range(count):
                image = f'{part}/{name}_{i}.png'
                shutil.copy(pictures / 'train/red/0.png', tmp_path / image)
                reply = '1. One.' if i < described else ''
                if i <= described:
                    lines.append(json.dumps(dict(image=image, prompt='describe', reply=reply)))
    (tmp_path / 'descriptions.jsonl').write_text('\n'.join(lines))
    return tmp_path


def names(root, split, **kwargs):
    data = DATASETS.build(dict(type='BAR', data_root=str(root), split=split, **kwargs))
    return [data.get_data_info(i)['rel_path'] for i in range(len(data))]


@pytest.mark.parametrize('part', PARTS)
def test_described_images_alone(root, part):
    count, described = PARTS[part]
    assert len(names(root, part)) == 2 * count
    assert names(root, part, described_only=True) == [
        f'{part}/{name}_{i}.png' for name in ('climbing', 'diving') for i in range(described)
    ]


def test_validation_images_are_a_share_of_the_described_ones(root):
    options = dict(described_only=True, val_fraction=0.4)
    train, val = (names(root, split, **options) for split in ('train', 'val'))
    assert (len(train), len(val)) == (6, 4)
    assert sorted(train + val) == sorted(names(root, 'train', described_only=True))


def test_without_descriptions(root):
    (root / 'descriptions.jsonl').unlink()
    with refused('descriptions.no_file'):
        names(root, 'test', described_only=True)


def test_paths_of_a_list_that_are_spelt_otherwise(root):
    lines = [f'train/{name}_{i}.PNG,{name}\n' for name in ('Climbing', 'diving') for i in range(8)]
    (root / 'list.csv').write_text('path,label\n' + ''.join(lines))
    options = dict(type='OwnImages', data_root=str(root), ann_file='list.csv', test_fraction=0)
    assert len(DATASETS.build(dict(**options, described_only=True))) == 10
