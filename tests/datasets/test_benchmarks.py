"""UCF101, ERA and BAR: counts of the real lists, labels, splits, texts of errors."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mmpretrain.registry import DATASETS
from refused import refused

from mmpretrain_lmmreg.datasets import BAR, ERA, UCF101
from mmpretrain_lmmreg.datasets.era import ERA_CLASSES
from mmpretrain_lmmreg.datasets.names import readable_name
from mmpretrain_lmmreg.datasets.ucf101 import UCF101_CLASSES, read_coop_lists, read_official_list
from mmpretrain_lmmreg.errors import MissingInputError


def touch(root, *paths):
    for path in paths:
        Path(root, path).parent.mkdir(parents=True, exist_ok=True)
        Path(root, path).touch()


@pytest.fixture(scope='module')
def ucf(shared, tmp_path_factory):
    """The whole of UCF-101 with the real lists and empty images, one folder in other case."""
    root = tmp_path_factory.mktemp('ucf')
    for file in (shared / 'data' / 'ucf101').iterdir():
        shutil.copy(file, root)
    samples = [s for n in ('train', 'test') for s in read_official_list(root / f'{n}list01.txt')]
    for folder in {s['group'].split('/')[0] for s in samples}:
        (root / 'frames' / folder).mkdir(parents=True)
    for sample in samples:
        (root / sample['rel_path']).touch()
    (root / 'frames' / 'HandstandPushups').rename(root / 'frames' / 'HandStandPushups')
    return root


def infos(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_ucf_counts_by_both_lists(ucf):
    assert [len(UCF101(str(ucf), split=split)) for split in ('train', 'test')] == [9537, 3783]
    assert len(UCF101(str(ucf), split='trainval', lists='coop')) == 9537
    coop = read_coop_lists(ucf / 'split_zhou_UCF101.json')
    assert {part: len(each) for part, each in coop.items()} == dict(train=7639, val=1898, test=3783)
    assert len(UCF101_CLASSES) == len(set(UCF101_CLASSES)) == 101


def test_ucf_samples(ucf):
    dataset = DATASETS.build(dict(type='UCF101', data_root=str(ucf), split='test'))
    info = dataset.get_data_info(0)
    assert info == {
        'rel_path': 'frames/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.jpg',
        'img_path': f'{ucf}/frames/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.jpg',
        'data_root': str(ucf),
        'gt_label': 0,
        'group': 'ApplyEyeMakeup/g01',
        'sample_idx': 0,
    }
    assert len({s['group'] for s in infos(dataset)}) == 707
    trap = [s for s in infos(dataset) if 'pushups' in s['rel_path'].lower() and s['gt_label'] == 36]
    assert trap and all(Path(s['img_path']).is_file() for s in trap)


def test_ucf_labels_agree_between_lists(ucf):
    official = read_official_list(ucf / 'trainlist01.txt')
    coop = read_coop_lists(ucf / 'split_zhou_UCF101.json')
    key = {s['rel_path'].lower(): (s['gt_label'], s['group']) for s in official}
    assert key == {
        s['rel_path'].lower(): (s['gt_label'], s['group']) for s in coop['train'] + coop['val']
    }
    numbers = (ucf / 'trainlist01.txt').read_text().split()[1::2]
    assert [s['gt_label'] + 1 for s in official] == [int(number) for number in numbers]


def test_ucf_validation_goes_by_source_video(ucf):
    train = UCF101(str(ucf), split='train', val_fraction=0.2)
    val = UCF101(str(ucf), split='val', val_fraction=0.2)
    assert len(train) + len(val) == 9537
    assert 0.17 < len(val) / 9537 < 0.23
    assert not {s['group'] for s in infos(train)} & {s['group'] for s in infos(val)}
    with refused('data.two_validation_splits'):
        UCF101(str(ucf), lists='coop', val_fraction=0.1)
    assert {s['gt_label'] for s in infos(val)} == set(range(101))
    assert val.test_mode and not train.test_mode


def test_ucf_halves_and_shots(ucf):
    base = UCF101(str(ucf), shots=4, class_half='base')
    new = UCF101(str(ucf), split='test', class_half='new')
    assert len(base.CLASSES) == 51 and len(new.CLASSES) == 50
    assert base.CLASSES + new.CLASSES == UCF101_CLASSES
    assert Counter(base.get_gt_labels().tolist()) == dict.fromkeys(range(51), 4)
    assert set(new.get_gt_labels().tolist()) == set(range(50))
    assert all(s['group'].startswith(new.CLASSES[s['gt_label']]) for s in infos(new))


def test_ucf_missing_list_and_images(tmp_path, shared):
    with refused('data.not_prepared', MissingInputError, match='trainlist01.txt'):
        UCF101(str(tmp_path))
    (tmp_path / 'trainlist01.txt').write_text(
        'Archery/v_Archery_g08_c01.avi 3\r\nArchery/v_Archery_g08_c02.avi 3\r\n'
    )
    touch(tmp_path, 'frames/Archery/v_Archery_g08_c01.jpg')
    with refused('data.missing_images', match='1 of 2 images .*Archery_g08_c02.jpg'):
        UCF101(str(tmp_path))
    with refused('data.not_prepared', match='split_zhou_UCF101.json'):
        UCF101(str(tmp_path), lists='coop')


@pytest.mark.parametrize('line', ['Archery/archery.avi 3', 'Chess/v_Chess_g08_c01.avi 3'])
def test_ucf_strange_lines_are_named(tmp_path, line):
    (tmp_path / 'trainlist01.txt').write_text(line)
    with refused('data.bad_line', match=f'trainlist01.txt: .{line.split()[0]}'):
        UCF101(str(tmp_path))


def test_ucf_damaged_json_is_named(tmp_path):
    codes = {
        '{"train": ': 'io.damaged_json',
        '{"train": []}': 'data.bad_list',
        '[1]': 'data.bad_list',
    }
    for content, code in codes.items():
        (tmp_path / 'split_zhou_UCF101.json').write_text(content)
        with refused(code, match='split_zhou_UCF101.json'):
            UCF101(str(tmp_path), lists='coop')


def test_bar_counts(shared):
    root = str(shared / 'data' / 'bar')
    train, test = BAR(root), BAR(root, split='test')
    assert np.bincount(train.get_gt_labels()).tolist() == [326, 520, 163, 279, 336, 317]
    assert np.bincount(test.get_gt_labels()).tolist() == [105, 159, 42, 131, 132, 85]
    space = next(s for s in infos(train) if s['gt_label'] == 3)
    assert space['rel_path'].startswith('train/pole vaulting_') and 'group' not in space
    first, second = (
        {s['rel_path'] for s in infos(BAR(root, 'val', 0.25, split_seed=seed))} for seed in (0, 1)
    )
    assert first != second and len(BAR(root, val_fraction=0.25)) + len(first) == 1941


def test_bar_on_a_slice(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmpretrain_lmmreg.datasets.base.print_log', lambda m, **k: said.append(m))
    touch(tmp_path, *(f'train/diving_{i}.jpg' for i in (10, 9)), 'train/Thumbs.db')
    dataset = BAR(str(tmp_path))
    assert [s['rel_path'] for s in infos(dataset)] == ['train/diving_9.jpg', 'train/diving_10.jpg']
    assert said == ['BAR: 2 images for trainval, 1,941 are published']
    assert dataset.CLASSES[1] == 'diving' and dataset.get_gt_labels().tolist() == [1, 1]
    with refused('data.not_prepared', MissingInputError, match='prepare bar'):
        BAR(str(tmp_path), split='test')
    touch(tmp_path, 'train/skating_1.jpg')
    with refused('data.unknown_label', match='skating'):
        BAR(str(tmp_path))


def test_era_matches_folders_leniently(tmp_path):
    touch(
        tmp_path,
        'train/Parade_Protest/b.jpg',
        'train/NonEvent/a.jpg',
        'train/post-earthquake/x 10.jpg',
        'train/post-earthquake/x 9.jpg',
        'train/.cache/y.jpg',
    )
    dataset = ERA(str(tmp_path))
    assert [(s['rel_path'], s['gt_label']) for s in infos(dataset)] == [
        ('train/post-earthquake/x 9.jpg', 0),
        ('train/post-earthquake/x 10.jpg', 0),
        ('train/Parade_Protest/b.jpg', 22),
        ('train/NonEvent/a.jpg', 24),
    ]
    assert len(ERA_CLASSES) == 25
    touch(tmp_path, 'train/Volcano/a.jpg')
    with refused('data.unknown_label', match='Volcano'):
        ERA(str(tmp_path))
    shutil.rmtree(tmp_path / 'train' / 'Volcano')
    touch(tmp_path, 'train/non event/a.jpg')
    with refused('data.similar_labels'):
        ERA(str(tmp_path))


@pytest.mark.parametrize(
    'arguments, code',
    [
        (dict(split='valid'), 'config.unknown_value'),
        (dict(split='val'), 'data.no_validation_split'),
        (dict(split='test', shots=4), 'config.unknown_value'),
        (dict(shots=0), 'config.out_of_range'),
        (dict(val_fraction=1), 'config.out_of_range'),
        (dict(class_half='old'), 'config.unknown_value'),
        (dict(classes=['a', 'b']), 'data.other_class_count'),
    ],
)
def test_mistaken_arguments(tmp_path, arguments, code):
    touch(tmp_path, 'train/diving_1.jpg', 'test/diving_2.jpg')
    with refused(code):
        BAR(str(tmp_path), **arguments)
    with refused(code):  # the registry keeps the kind of the error
        DATASETS.build(dict(type='BAR', data_root=str(tmp_path), **arguments))


@pytest.mark.parametrize('cls', [UCF101, ERA, BAR])
def test_missing_root(tmp_path, cls):
    command = f'mmpretrain-lmmreg prepare {cls.__name__.lower()} SOURCE {tmp_path}/nowhere'
    with refused(
        'data.not_prepared', MissingInputError, match=f"nowhere'. Make it with: {command}"
    ):
        cls(str(tmp_path / 'nowhere'))


def test_own_names_for_classes(tmp_path):
    touch(tmp_path, 'train/diving_1.jpg')
    names = ['a', 'b', 'c', 'd', 'e', 'f']
    assert list(BAR(str(tmp_path), classes=names).CLASSES) == names
    half = BAR(str(tmp_path), classes=names, class_half='new', lazy_init=True)
    assert half.CLASSES == half.metainfo['prompt_names'] == ('d', 'e', 'f')


def test_readable_names():
    assert readable_name('HandstandPushups') == 'Handstand Pushups'
    assert readable_name('012.Polar_bear ') == 'Polar bear'
    assert readable_name('X-ray') == 'X-ray' and readable_name('007') == '007'
