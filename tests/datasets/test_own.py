"""Own images: layouts, lists, splits, and a clear error for each mistake."""

import json
from collections import Counter
from pathlib import Path

import pytest
from mmpretrain.registry import DATASETS

from mmpretrain_lmmreg.datasets import OwnImages, find_classes
from mmpretrain_lmmreg.datasets.own_names import class_names_of
from mmpretrain_lmmreg.errors import InputError, MissingInputError


def touch(root, *paths):
    for path in paths:
        Path(root, path).parent.mkdir(parents=True, exist_ok=True)
        Path(root, path).touch()


def samples(root, split='train', **kwargs):
    dataset = OwnImages(str(root), split=split, **kwargs)
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def paths(root, split='train', **kwargs):
    return [s['rel_path'] for s in samples(root, split, **kwargs)]


@pytest.fixture
def flat(tmp_path):
    """Ten images of one class, twenty of another, some a folder deeper."""
    touch(tmp_path, *(f'polar_bear/{i}.jpg' for i in range(10)))
    touch(tmp_path, *(f'Tiger/zoo/{i}.PNG' for i in range(20)))
    touch(tmp_path, '.git/x.jpg', 'polar_bear/notes.txt', 'descriptions.jsonl')
    return tmp_path


def write_csv(root, *rows, header='path,label'):
    (root / 'list.csv').write_text('\n'.join([header, *rows]) + '\n', encoding='utf-8-sig')
    touch(root, *(row.split(',')[0] for row in rows if row.split(',')[0]))
    return 'list.csv'


def test_class_folders_with_splits_by_seed(flat):
    everything = [paths(flat, split, val_fraction=0.2) for split in ('train', 'val', 'test')]
    assert [len(part) for part in everything] == [19, 5, 6]  # test: 2 + 4; val: 2 + 3
    assert len(set(sum(everything, []))) == 30
    assert Counter(s['gt_label'] for s in samples(flat, 'test')) == {0: 4, 1: 2}
    assert sorted(paths(flat, 'trainval', val_fraction=0.2)) == sorted(sum(everything[:2], []))
    assert paths(flat, 'test') == paths(flat, 'test', val_fraction=0.2)
    assert paths(flat, 'test') != paths(flat, 'test', split_seed=1)
    assert len(paths(flat, 'test', test_fraction=0.5)) == 15


def test_samples_and_class_names(flat):
    dataset = DATASETS.build(dict(type='OwnImages', data_root=str(flat)))
    assert dataset.CLASSES == find_classes(str(flat)) == ('Tiger', 'polar bear')
    info = dataset.get_data_info(0)
    assert info['rel_path'].startswith('Tiger/zoo/') and info['data_root'] == str(flat)
    assert info['img_path'] == f'{flat}/{info["rel_path"]}' and info['gt_label'] == 0
    for split in ('train', 'test'):
        assert OwnImages(str(flat), split=split).CLASSES == dataset.CLASSES
    assert OwnImages(str(flat), classes=['a tiger', 'a bear']).CLASSES == ('a tiger', 'a bear')
    assert OwnImages(str(flat), lazy_init=True).CLASSES == dataset.CLASSES
    assert len(OwnImages(str(flat), indices=3)) == 3


def test_shots_come_from_train(flat):
    chosen = samples(flat, shots=3, val_fraction=0.2)
    assert Counter(s['gt_label'] for s in chosen) == {0: 3, 1: 3}
    assert {s['rel_path'] for s in chosen} < set(paths(flat, val_fraction=0.2))


def test_folders_of_splits(tmp_path):
    touch(tmp_path, 'Training/b/1.jpg', 'Training/a/2.jpg', 'valid/a/3.jpg', 'test/b/4.jpg')
    touch(tmp_path, 'annotations/readme.txt')
    assert paths(tmp_path) == ['Training/a/2.jpg', 'Training/b/1.jpg']
    assert paths(tmp_path, 'val') == ['valid/a/3.jpg']
    assert samples(tmp_path, 'test')[0]['gt_label'] == 1
    touch(tmp_path, 'more/c/5.jpg')
    with pytest.raises(InputError, match='has images in more beside the folders of splits'):
        samples(tmp_path)


def test_a_class_called_train(tmp_path):
    touch(tmp_path, 'train/1.jpg', 'bus/2.jpg')
    assert find_classes(str(tmp_path)) == ('bus', 'train')


def test_val_without_test_is_not_guessed(tmp_path):
    touch(tmp_path, 'train/a/1.jpg', 'train/b/2.jpg', 'val/a/3.jpg')
    assert len(paths(tmp_path)) == 2 and len(paths(tmp_path, 'val')) == 1
    with pytest.raises(InputError, match='has train and val but no test split: name a test split'):
        samples(tmp_path, 'test')


def test_csv_with_splits_and_groups(tmp_path):
    name = write_csv(
        tmp_path,
        'x/1 a.jpg,cat,train,g1',
        f'{tmp_path}/2.jpg,dog,Train,g2',
        './3.jpg, dog ,val,',
        '4.jpg,cat,TEST,g3',
        header='Path,Label,split,group',
    )
    found = samples(tmp_path, ann_file=name)
    assert [(s['rel_path'], s['gt_label'], s['group']) for s in found] == [
        ('x/1 a.jpg', 0, 'g1'),
        ('2.jpg', 1, 'g2'),
    ]
    assert 'group' not in samples(tmp_path, 'val', ann_file=name)[0]
    assert paths(tmp_path, 'test', ann_file=name) == ['4.jpg']
    assert find_classes(str(tmp_path), name) == ('cat', 'dog')
    assert find_classes(str(tmp_path), str(tmp_path / name)) == ('cat', 'dog')


def test_json_with_numbers_as_labels(tmp_path):
    entries = [{'path': f'{i}.jpg', 'label': i % 11} for i in range(33)]
    (tmp_path / 'list.json').write_text(json.dumps(entries))
    touch(tmp_path, *(entry['path'] for entry in entries))
    assert find_classes(str(tmp_path), 'list.json') == tuple(str(i) for i in range(11))
    found = samples(tmp_path, ann_file='list.json', test_fraction=0)
    assert all(s['gt_label'] == int(s['rel_path'][:-4]) % 11 for s in found) and len(found) == 33


def test_made_splits_do_not_divide_groups(tmp_path):
    rows = [f'{i}.jpg,{"ab"[i % 2]},patient {i // 4}' for i in range(80)]
    name = write_csv(tmp_path, *rows, header='path,label,group')
    parts = [
        {s['group'] for s in samples(tmp_path, split, ann_file=name, val_fraction=0.25)}
        for split in ('train', 'val', 'test')
    ]
    assert all(parts) and sum(map(len, parts)) == 20 == len(set.union(*parts))


def test_groups_in_given_splits_are_warned_of(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmpretrain_lmmreg.datasets.own.print_log', lambda m, **k: said.append(m))
    rows = ['1.jpg,a,train,g', '2.jpg,b,train,h', '3.jpg,a,test,g']
    name = write_csv(tmp_path, *rows, header='path,label,split,group')
    samples(tmp_path, ann_file=name)
    assert said == ['groups in train and test: g; accuracies on test flatter']


@pytest.mark.parametrize(
    'files, text',
    [
        ([], 'no images in .*: it has no class folders. Put the images of each class into a fo'),
        (['1.jpg', '2.jpg'], 'it has no class folders'),
        (['a/1.jpg', 'b/notes.txt'], 'no images in .*/b. Put'),
        (['train/a/1.jpg', 'train/b/1.jpg', 'test/a/x.txt'], 'no images in .*/test/a. Put'),
        (['a/1.jpg', 'a/2.jpg'], "only one class, 'a'; two or more are needed"),
        (['train/a/1.jpg', 'train/b/1.jpg', 'test/c/1.jpg'], 'classes in test that train lacks: c'),
        (['Cat/1.jpg', 'cat/1.jpg'], "labels 'Cat', 'cat' differ only in case, spacing or"),
        (['x_y/1.jpg', '02.x y/1.jpg'], "labels '02.x y', 'x_y' differ only in case"),
    ],
)
def test_mistakes_in_folders(tmp_path, files, text):
    touch(tmp_path, *files)
    with pytest.raises(InputError, match=text):
        samples(tmp_path)
    with pytest.raises(InputError, match=text):
        find_classes(str(tmp_path))


@pytest.mark.parametrize(
    'lines, text',
    [
        (
            ['path,label,split', '1.jpg,a,training', '2.jpg,b,test'],
            "split must be train, val or test, not 'training'; did you mean train?",
        ),
        (['file,class', '1.jpg,a'], "columns path,label.*, not 'file,class'"),
        (['path,cat,dog', '1.jpg,0,1'], "columns path,label.*, not 'path,cat,dog'"),
        ([''], 'needs a first line that names the columns'),
        (['path,label'], 'list.csv lists no images'),
        (['path,label', '1.jpg,a', '2.jpg,', '3.jpg'], 'no label in line 3, line 4'),
        (['path,label', ',a'], 'no path in line 2'),
        (['path,label', '1.jpg,a,b'], 'line 2: more fields than columns'),
        (['path,label', '1.jpg,a', '../2.jpg,b'], "line 3: '../2.jpg' is outside of the data root"),
        (['path,label', '/etc/2.jpg,b'], "line 2: '/etc/2.jpg' is outside of the data root"),
        (['path,label', '1.jpg,a;b'], "line 2: several labels, 'a;b'. Multi-label data is not sup"),
        (['path,label', '1.jpg,a', './1.jpg,b'], "'1.jpg' is listed twice. Multi-label"),
        (['path,label', '1.jpg,a', './1.jpg,a'], "line 3: '1.jpg' is listed twice$"),
        (['path,label,split', '1.jpg,a,dev'], "split must be train, val or test, not 'dev'"),
        (['path,label,split', '1.jpg,a,test', '2.jpg,b,'], 'line 3: no split, though other rows'),
        (['path,label', '1.jpg,a', '2.jpg,A'], "list.csv: labels 'A', 'a' differ only in case"),
        (['path,label,split', '1.jpg,a,train', '2.jpg,b,test'], 'in test that train lacks: b'),
    ],
)
def test_mistakes_in_a_csv(tmp_path, lines, text):
    (tmp_path / 'list.csv').write_text('\n'.join(lines))
    with pytest.raises(InputError, match=text):
        find_classes(str(tmp_path), 'list.csv')


@pytest.mark.parametrize(
    'content, text',
    [
        ('[{"path": ', 'list.json is not JSON'),
        ('{"a.jpg": "cat"}', 'must be a list of {"path": ..., "label": ...}'),
        ('[{"path": "a.jpg"}]', 'no label in entry 1'),
        ('[{"path": "a.jpg", "label": ["a", "b"]}]', 'entry 1: several labels.*Multi-label'),
    ],
)
def test_mistakes_in_a_json(tmp_path, content, text):
    (tmp_path / 'list.json').write_text(content)
    with pytest.raises(InputError, match=text):
        find_classes(str(tmp_path), 'list.json')


def test_missing_inputs(tmp_path, flat):
    with pytest.raises(MissingInputError, match="no folder '.*nowhere'"):
        find_classes(str(tmp_path / 'nowhere'))
    with pytest.raises(MissingInputError, match="OwnImages: no folder '.*nowhere'"):
        OwnImages(str(tmp_path / 'nowhere'))
    with pytest.raises(MissingInputError, match="no list 'my.csv', neither in .* nor by itself"):
        samples(flat, ann_file='my.csv')
    with pytest.raises(InputError, match='notes.txt must be a .csv or a .json file'):
        samples(flat, ann_file='polar_bear/notes.txt')
    (tmp_path / 'list.csv').write_text('path,label\nno.jpg,a\npolar_bear/1.jpg,b\n')
    with pytest.raises(
        MissingInputError, match=r'1 of 2 images are missing in .*: no.jpg. Correct'
    ):
        samples(flat, ann_file='list.csv')


def test_too_few_for_a_test_split(tmp_path):
    touch(tmp_path, 'a/1.jpg', 'b/1.jpg')
    assert len(paths(tmp_path)) == 2
    with pytest.raises(InputError, match='test_fraction=0.2 leaves no image for a test split'):
        samples(tmp_path, 'test')


LABELS = ['aGrass', 'dRiverLake', 'polarBear']


def own_names(given, root='.'):
    return class_names_of(LABELS, given, root)


def test_class_names_are_given_or_made_readable(tmp_path):
    assert own_names('') == ('a Grass', 'd River Lake', 'polar Bear')
    names = {'aGrass': 'grass', 'dRiverLake': 'river or lake'}
    expected = ('grass', 'river or lake', 'polar Bear')
    assert own_names(names) == expected
    (tmp_path / 'names.json').write_text(json.dumps(names))
    (tmp_path / 'names.csv').write_text('label, name\naGrass, grass\ndRiverLake, river or lake\n')
    assert own_names('names.json', tmp_path) == expected
    assert own_names(str(tmp_path / 'names.csv')) == expected


def test_given_class_names_reach_the_data_set(flat):
    dataset = OwnImages(str(flat), class_names={'polar_bear': 'white bear'})
    assert dataset.metainfo['classes'] == ('Tiger', 'white bear')


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'aGras': 'grass'}, "no image has the label aGras; did you mean 'aGrass'"),
        ({'aGrass': 'x', 'dRiverLake': 'x'}, 'x names more than one class'),
        ('nothing.json', "class_names: no file 'nothing.json'"),
        ('bad.json', 'bad.json is not valid JSON'),
        ('list.json', 'list.json must be an object'),
        ('bad.csv', 'bad.csv needs a first line label,name'),
    ],
)
def test_mistakes_in_class_names(tmp_path, given, message):
    (tmp_path / 'bad.json').write_text('{')
    (tmp_path / 'list.json').write_text('[]')
    (tmp_path / 'bad.csv').write_text('folder,name\na,b\n')
    with pytest.raises(InputError, match=message):
        own_names(given, tmp_path)


def test_class_names_are_not_compared_pair_by_pair():
    """10,000 classes are 50 million pairs."""
    compared = 0

    class Name(str):
        __hash__ = str.__hash__

        def __str__(self):
            return self

        def __eq__(self, other):
            nonlocal compared
            compared += 1
            return super().__eq__(other)

    labels = [Name(i) for i in range(300)]
    given = {Name(i): Name(f'name {i}') for i in range(300)}
    assert len(class_names_of(labels, given, '.')) == 300
    assert compared < 3000
