"""Own images: layouts, lists, splits, and a clear error for each mistake."""

import io
import json
import sys
import time
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mmengine.logging import MMLogger
from mmpretrain.registry import DATASETS
from PIL import Image
from refused import refused

from mmpretrain_lmmreg.datasets import OwnImages, find_classes, hugging_face
from mmpretrain_lmmreg.datasets.labels import class_names_of
from mmpretrain_lmmreg.datasets.layouts import read_folders
from mmpretrain_lmmreg.errors import MissingInputError


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
def said(monkeypatch):
    """Lines that the data set logs."""
    lines = []
    monkeypatch.setattr('mmpretrain_lmmreg.datasets.own.print_log', lambda m, **k: lines.append(m))
    return lines


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


def test_val_without_test_is_not_guessed(tmp_path):
    touch(tmp_path, 'train/a/1.jpg', 'train/b/2.jpg', 'val/a/3.jpg')
    assert len(paths(tmp_path)) == 2 and len(paths(tmp_path, 'val')) == 1
    with refused('data.no_test_split'):
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


def test_groups_in_given_splits_are_warned_of(tmp_path, said):
    rows = ['1.jpg,a,train,g', '2.jpg,b,train,h', '3.jpg,a,test,g']
    name = write_csv(tmp_path, *rows, header='path,label,split,group')
    samples(tmp_path, ann_file=name)
    assert 'groups in train and test: g; accuracies on test are too high' in said


@pytest.mark.parametrize(
    'files, code',
    [
        ([], 'data.no_class_folders'),
        (['1.jpg', '2.jpg'], 'data.no_class_folders'),
        (['a/1.jpg', 'b/notes.txt'], 'data.one_class'),
        (['a/1.jpg', 'a/2.jpg'], 'data.one_class'),
        (['train/a/1.jpg', 'train/b/1.jpg', 'test/c/1.jpg'], 'data.untrained_class'),
        (['Cat/1.jpg', 'cat/1.jpg'], 'data.similar_labels'),
        (['x_y/1.jpg', '02.x y/1.jpg'], 'data.similar_labels'),
        (['a\u200b/1.jpg', 'b/1.jpg'], 'data.invisible_name'),
        (['train/cat.1.jpg', 'test1/1.jpg'], 'data.no_class_folders'),
        (['val/a/1.jpg', 'test/a/1.jpg'], 'data.no_training_split'),
        (['cats/1.jpg', 'test/cats/1.jpg'], 'data.stray_folders'),
        (['train/a/1.jpg', 'train/b/1.jpg', 'more/c/1.jpg'], 'data.stray_folders'),
        (['train/a/1.jpg', 'training/b/1.jpg'], 'data.two_folders_of_a_split'),
        (['images/train/1.jpg', 'images/val/2.jpg'], 'data.no_class_folders'),
        (['train/a/1.jpg', 'train/b/1.jpg', 'holdout/a/1.jpg'], 'data.stray_folders'),
        (
            ['fold1/a/1.jpg', 'fold1/b/1.jpg', 'fold2/a/1.jpg', 'fold2/b/2.jpg'],
            'data.unsure_classes',
        ),
        (['a\u202eb/1.jpg', 'c/1.jpg'], 'data.invisible_name'),
        (['a/train/1.jpg', 'a/test/2.jpg', 'b/train/3.jpg', 'b/4.jpg'], 'data.stray_folders'),
        (['a/train/1.jpg', 'a/test/2.jpg', 'b/test/3.jpg'], 'data.stray_folders'),
        (['cats/1.jpg', 'dogs/2.jpg', 'test/3.jpg'], 'data.stray_folders'),
        (['a\nb/1.jpg', 'c/1.jpg'], 'data.invisible_name'),
    ],
)
def test_mistakes_in_folders(tmp_path, files, code):
    touch(tmp_path, *files)
    with refused(code):
        samples(tmp_path)
    with refused(code):
        find_classes(str(tmp_path))


OUT = 'left out'


@pytest.mark.parametrize(
    'expected',
    [
        {
            'seg_train/seg_train/a/1.jpg': 'train',
            'seg_test/seg_test/a/2.jpg': 'test',
            'seg_pred/seg_pred/3.jpg': OUT,
        },
        {'training_set/training_set/a/1.jpg': 'train', 'test_set/test_set/a/2.jpg': 'test'},
        {'cars_train/a/1.jpg': 'train', 'cars_test/a/2.jpg': 'test'},
        {'archive/data/Train/a/1.jpg': 'train', 'archive/data/Valid/a/2.jpg': 'val'},
        {'a/train/1.jpg': 'train', 'a/test/2.jpg': 'test', 'b/train/3.jpg': 'train'},
        {'train/a/1.jpg': 'train', 'test/2.jpg': OUT},
        {'a/train/1.jpg': 'train', 'a/unlabelled/2.jpg': OUT, 'b/train/3.jpg': 'train'},
        {
            'images/TRAIN/a/1.jpg': 'train',
            'images/Val1/a/2.jpg': 'val',
            'labels/TRAIN/a/1.txt': OUT,
        },
        {
            'train/images/a/1.jpg': 'train',
            'train/images/c/2.jpg': 'train',
            'test/images/a/3.jpg': 'test',
        },
        {'train_station/1.jpg': None, 'harbour/2.jpg': None},
        {'train/1.jpg': None, 'bus/2.jpg': None},
        {'cats/1.jpg': None, 'dogs/2.jpg': None, 'unlabeled/4.jpg': OUT},
        {'animals/cats/1.jpg': None, 'animals/dogs/2.jpg': None, 'readme.md': OUT},
    ],
)
def test_layouts_of_archives(tmp_path, expected):
    touch(tmp_path, *expected)
    found = read_folders(tmp_path)
    splits = {row.rel_path: row.split for row in found.rows}
    assert splits | {path: OUT for path, _ in found.left_out} == expected
    wrong = {'seg_train', 'training_set', 'archive', 'data', 'images'}
    assert not {row.label for row in found.rows} & wrong


def test_what_is_left_out_is_said(tmp_path, said):
    log = tmp_path.with_suffix('.log')
    MMLogger.get_instance(tmp_path.name, logger_name='left', log_file=str(log))
    touch(
        tmp_path,
        *('a/1.jpg', 'a/2.jfif', 'a/3.AVIF', 'b/4.heic', 'b/5.jpg'),
        *('a/@eaDir/1.jpg/SYNO.jpg', '#recycle/6.jpg', '__MACOSX/a/._1.jpg', 'a/._1.jpg'),
        *('.ipynb_checkpoints/7.jpg', 'lost+found/8.jpg', 'a/notes.txt', 'b/doc.txt', '9.jpg'),
        'empty/notes.txt',
    )
    read = ['a/1.jpg', 'a/2.jfif', 'a/3.AVIF', 'b/4.heic', 'b/5.jpg']
    assert sorted(paths(tmp_path, test_fraction=0)) == read
    text = '\n'.join(said)
    assert 'a/notes.txt' not in text and 'a/notes.txt: .txt files' in log.read_text()
    assert '3 .txt files (no images)' in text and '1 images in no class folder' in text
    assert '1 folders called @eaDir' in text and '1 folders called lost+found' in text
    assert 'empty class folders are left out: empty' in text


def test_folders_within_classes_are_said_to_be_no_classes(tmp_path, said):
    touch(tmp_path, *(f'{a}/{b}/1.jpg' for a in ('colour', 'grey') for b in ('apple', 'corn')))
    samples(tmp_path, test_fraction=0)
    note = 'the classes are colour, grey; folders within them (apple, corn) are not classes'
    assert said.count(note) == 1
    samples(tmp_path, test_fraction=0)  # as a run does
    assert said.count(note) == 1


def test_links_to_classes_are_followed_and_circles_are_not(tmp_path):
    touch(tmp_path / 'elsewhere', '1.jpg')
    touch(tmp_path / 'root', 'b/2.jpg')
    (tmp_path / 'root' / 'a').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'root' / 'b' / 'up').symlink_to(tmp_path / 'root')
    rows = read_folders(tmp_path / 'root').rows
    assert [row.rel_path for row in rows] == ['a/1.jpg', 'b/2.jpg']


def test_one_word_in_two_unicode_forms_is_one_class(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, 'Äpfel') for form in ('NFC', 'NFD'))
    touch(tmp_path, f'train/{decomposed}/1.jpg', 'train/b/2.jpg', f'test/{composed}/3.jpg')
    assert find_classes(str(tmp_path)) == ('b', composed)
    assert [s['gt_label'] for s in samples(tmp_path, 'test')] == [1]
    (tmp_path / 'l.csv').write_text(f'path,label\ntrain/{composed}/1.jpg,x\ntrain/b/2.jpg,y\n')
    found = samples(tmp_path, ann_file='l.csv', test_fraction=0)
    assert found[0]['rel_path'] == f'train/{decomposed}/1.jpg'


def test_unreadable_images_are_left_out_by_option(tmp_path, said):
    for name in ('a/1.png', 'a/2.png', 'b/3.png'):
        touch(tmp_path, name)
        Image.new('RGB', (8, 8)).save(tmp_path / name)
    (tmp_path / 'b/4.jpg').write_bytes(b'<!DOCTYPE html><html>')
    touch(tmp_path, 'b/5.jpg')
    (tmp_path / 'b/6.jpg').write_bytes(b'version https://git-lfs.github.com/spec/v1')
    assert len(samples(tmp_path, test_fraction=0)) == 6
    left = paths(tmp_path, test_fraction=0, skip_unreadable=True)
    assert left == ['a/1.png', 'a/2.png', 'b/3.png']
    assert (
        '3 unreadable images are left out: b/4.jpg (a web page, not an image), b/5.jpg (an empty '
        'file), b/6.jpg (a Git LFS pointer: run git lfs pull)'
    ) in said


@pytest.mark.parametrize(
    'content',
    [
        b'path;label\n1.jpg;\xc4pfel\n2.jpg;b\n',
        'path\tlabel\r1.jpg\tÄpfel\r2.jpg\tb\r'.encode('utf-16'),
        '\ufeffFile_Name,Category\r\n1.jpg,Äpfel\r\n2.jpg,b\r\n'.encode(),
        'id|image|class\n0|.\\1.jpg|Äpfel\n1|2.jpg|b\n'.encode(),
        'filename,width,target\n1.jpg,3,Äpfel\n\n2.jpg,4,b\n'.encode('utf-16-le'),
        '"image_path","class_name"\n"1.jpg","Äpfel"\n"2.jpg","b"\n'.encode(),
        'sep=;\npath;label;score\n1.jpg;Äpfel;0,5\n2.jpg;b;1,25\n'.encode(),
        'path,label,note\n1.jpg,Äpfel,"two\nlines"\n2.jpg,b,,\n'.encode('utf-16-be'),
    ],
)
def test_tables_of_any_kind(tmp_path, content):
    (tmp_path / 'list.csv').write_bytes(content)
    touch(tmp_path, '1.jpg', '2.jpg')
    found = samples(tmp_path, ann_file='list.csv', test_fraction=0)
    assert [(s['rel_path'], s['gt_label']) for s in found] == [('1.jpg', 1), ('2.jpg', 0)]
    assert find_classes(str(tmp_path), 'list.csv') == ('b', 'Äpfel')


def test_columns_by_option_and_notes_of_a_list(tmp_path, said):
    (tmp_path / 'list.csv').write_bytes('bild,art\n1.jpg,"Wal, groß"\n2.jpg,b\n'.encode('cp1252'))
    touch(tmp_path, '1.jpg', '2.jpg')
    columns = dict(path='Bild', label='art')
    samples(tmp_path, ann_file='list.csv', test_fraction=0, columns=columns)
    assert any('is not UTF-8 and was read as cp1252' in line for line in said)
    assert 'classes with a single image: Wal, groß, b' in said
    assert 'labels with a comma are one class each: Wal, groß' in said


@pytest.mark.parametrize(
    'lines, code',
    [
        (['path,label,split', '1.jpg,a,new', '2.jpg,b,test'], 'data.bad_split'),
        (['photo,kind', '1.jpg,a'], 'data.no_column'),
        (['path,cat,dog', '1.jpg,0,1'], 'data.no_column'),
        (['1.jpg,a', '2.jpg,b'], 'data.no_column'),
        ([''], 'data.no_column'),
        (['path,label'], 'data.empty_list'),
        (['path,label', '1.jpg,a', '2.jpg,', '3.jpg'], 'data.no_column'),
        (['path,label', '1.jpg,a,b'], 'data.bad_line'),
        (['path,label', '1.jpg,a', '../2.jpg,b'], 'data.outside_root'),
        (['path,label', 'C:\\x\\..\\..\\..\\2.jpg,b'], 'data.outside_root'),
        (['path,label', '1.jpg,a;b'], 'data.multi_label'),
        (['path,label', '1.jpg,a', './1.jpg,b'], 'data.listed_twice'),
        (['path,label,split', '1.jpg,a,test', '2.jpg,b,'], 'data.bad_split'),
        (['path,label', '1.jpg,a', '2.jpg,A'], 'data.similar_labels'),
        (['path,label,split', '1.jpg,a,train', '2.jpg,b,test'], 'data.untrained_class'),
        (['path,label', '1.jpg,a', '2.jpg,\u200b'], 'data.invisible_name'),
        (['path,label', '1.jpg,' + 'a' * 200_000], 'data.bad_line'),
        (['path,label', '1.jpg,a', 'C:\\data\\2.jpg,b'], 'data.outside_root'),
        (['path,label', '1.jpg,a', 'https://x.org/2.jpg,b'], 'data.outside_root'),
        (['path,label', '1.jpg,"a', '2.jpg,b'], 'data.bad_line'),
        (['path,label', '1.jpg,a\u2028b', '2.jpg,b'], 'data.invisible_name'),
        (['path,label,label', '1.jpg,a,c', '2.jpg,b,c'], 'data.no_column'),
        (['path,label', '1.jpg,a', '1.jpg,b'], 'data.listed_twice'),
        (['PK\x03\x04'], 'data.not_text'),
        (['PAR1'], 'data.not_text'),
        (['path,label', '1.jpg,a\x00b'], 'data.not_text'),
    ],
)
def test_mistakes_in_a_csv(tmp_path, lines, code):
    (tmp_path / 'list.csv').write_text('\n'.join(lines))
    with refused(code):
        find_classes(str(tmp_path), 'list.csv')


@pytest.mark.parametrize(
    'content, code',
    [
        ('[{"path": ', 'io.damaged_json'),
        ('[' * 100_000, 'io.damaged_json'),
        ('[{"path": "a.jpg", "label": NaN}]', 'io.damaged_json'),
        ('[{"path": 1, "label": "a"}]', 'data.bad_line'),
        ('{"a.jpg": "cat"}', 'data.bad_line'),
        ('[{"path": "a.jpg"}]', 'data.no_column'),
        ('[{"path": "a.jpg", "label": ["a", "b"]}]', 'data.multi_label'),
    ],
)
def test_mistakes_in_a_json(tmp_path, content, code):
    (tmp_path / 'list.json').write_text(content)
    with refused(code):
        find_classes(str(tmp_path), 'list.json')


def test_names_in_a_list_as_browsers_write_them(tmp_path):
    touch(tmp_path, 'a b.jpg', 'c%20d.jpg')
    (tmp_path / 'l.csv').write_text('path,label\na%20b.jpg,x\nc%20d.jpg,y\n')
    assert paths(tmp_path, ann_file='l.csv', test_fraction=0) == ['a b.jpg', 'c%20d.jpg']


def test_whole_paths_through_a_link_to_the_data_root(tmp_path):
    touch(tmp_path / 'root', '1.jpg', '2.jpg')
    (tmp_path / 'link').symlink_to(tmp_path / 'root')
    lines = f'path,label\n{tmp_path}/link/1.jpg,a\n{tmp_path}/root/2.jpg,b\n'
    (tmp_path / 'root/l.csv').write_text(lines)
    for name in ('root', 'link'):
        assert paths(tmp_path / name, ann_file='l.csv', test_fraction=0) == ['1.jpg', '2.jpg']


def test_a_column_that_is_not_taken_is_said(tmp_path, said):
    write_csv(tmp_path, '1.jpg,0,cat', '2.jpg,1,dog', header='path,label,class')
    samples(tmp_path, ann_file='list.csv', test_fraction=0)
    assert any("taken from 'label', not from class" in line for line in said)
    assert find_classes(str(tmp_path), 'list.csv', 'label=class,') == ('cat', 'dog')
    for columns, code in (('label=art', 'data.no_column'), ('kind=class', 'config.unknown_value')):
        with refused(code):
            find_classes(str(tmp_path), 'list.csv', columns)
    (tmp_path / 'l.json').write_text(
        '[{"path": "1.jpg", "label": 0}, {"path": "2.jpg", "label": 1}]'
    )
    with refused('data.no_column'):
        find_classes(str(tmp_path), 'l.json', 'group=patient')


def test_imagefolder_with_metadata(tmp_path, said):
    touch(tmp_path, 'train/1.png', 'train/2.png', 'test/3.png')
    (tmp_path / 'train/metadata.jsonl').write_text(
        '{"file_name": "1.png", "label": "b"}\n{"file_name": "2.png", "label": "a"}\n'
    )
    (tmp_path / 'test/metadata.csv').write_text('file_name,label\n3.png,a\n')
    assert find_classes(str(tmp_path)) == ('a', 'b')
    assert [(s['rel_path'], s['gt_label']) for s in samples(tmp_path)] == [
        ('train/1.png', 1),
        ('train/2.png', 0),
    ]
    assert paths(tmp_path, 'test') == ['test/3.png']
    touch(tmp_path, 'train/4.png')
    samples(tmp_path)
    assert 'left out: 1 images that no metadata file names' in '\n'.join(said)


def test_metadata_without_labels_leaves_the_classes_to_folders(tmp_path):
    touch(tmp_path, 'a/1.png', 'b/2.png')
    (tmp_path / 'metadata.csv').write_text('file_name,text\na/1.png,hello\n')
    assert find_classes(str(tmp_path)) == ('a', 'b')
    with refused('data.no_column'):
        find_classes(str(tmp_path), columns='label=species')
    (tmp_path / 'metadata.csv').write_text('file_name,species\na/1.png,x\nb/2.png,y\n')
    assert find_classes(str(tmp_path), columns='label=species') == ('x', 'y')


def test_mistakes_in_metadata_do_not_leave_the_classes_to_folders(tmp_path):
    touch(tmp_path, 'a/1.png', 'b/2.png')
    (tmp_path / 'metadata.csv').write_text('file_name,label\na/1.png,x\nb/2.png,\n')
    with refused('data.no_column', match='line 3'):
        find_classes(str(tmp_path))
    (tmp_path / 'metadata.csv').write_text('file_name,label\na/1.png,x\nb/2.png,y\n')
    (tmp_path / 'a/metadata.csv').write_text('file_name,label\n1.png,y\n')
    with refused('data.listed_twice'):
        find_classes(str(tmp_path))


def image_bytes(kind='png'):
    file = io.BytesIO()
    Image.new('RGB', (8, 8)).save(file, kind)
    return file.getvalue()


def hub_table(labels, label, contents=None):
    """A table as `datasets` saves it, of images with these labels of type ``label``."""
    pyarrow = pytest.importorskip('pyarrow', reason='pyarrow reads what `datasets` saves')
    contents = contents or [image_bytes()] * len(labels)
    images = [dict(bytes=content, path=None) for content in contents]
    about = dict(info=dict(features=dict(image=dict(_type='Image'), label=label)))
    table = pyarrow.table(dict(image=images, label=labels))
    return table.replace_schema_metadata({b'huggingface': json.dumps(about).encode()})


@pytest.mark.parametrize('kind', ['arrow', 'parquet'])
def test_saved_data_sets(tmp_path, kind):
    pyarrow = pytest.importorskip('pyarrow', reason='pyarrow reads what `datasets` saves')
    parquet = pytest.importorskip('pyarrow.parquet', reason='as above')
    table = hub_table([0, 1, 1], dict(_type='ClassLabel', names=['x y', 'z']))
    for split in ('train', 'test'):
        if kind == 'parquet':
            (tmp_path / 'data').mkdir(exist_ok=True)
            file_name = tmp_path / 'data' / f'{split}-00000-of-00001.parquet'
            parquet.write_table(table, file_name)
        else:
            (tmp_path / split).mkdir()
            file_name = str(tmp_path / split / 'data-00000-of-00001.arrow')
            with pyarrow.ipc.new_stream(pyarrow.OSFile(file_name, 'wb'), table.schema) as writer:
                writer.write_table(table)
    assert find_classes(str(tmp_path)) == ('x y', 'z')
    for split in ('train', 'test'):
        assert [s['gt_label'] for s in samples(tmp_path, split)] == [0, 1, 1]


def test_saved_images_without_a_label_or_of_rare_kinds(tmp_path, said):
    parquet = pytest.importorskip('pyarrow.parquet', reason='pyarrow reads what `datasets` saves')
    named = dict(_type='ClassLabel', names=['x', 'y'])
    contents = [image_bytes(), image_bytes('jpeg2000'), b'no image', image_bytes()]
    parquet.write_table(hub_table([0, 1, 1, None], named, contents), tmp_path / 'train.parquet')
    parquet.write_table(hub_table([-1, -1], named), tmp_path / 'test.parquet')
    found = paths(tmp_path, test_fraction=0)
    assert found == ['train/x/1-0.png', 'train/y/1-1.jpg', 'train/y/1-2.jpg']
    assert 'test: 2 images in no class folder are left out' in said
    assert any('1 images in no class folder' in line for line in said)


@pytest.mark.parametrize('label', [dict(_type='Sequence', feature={}), [dict(_type='ClassLabel')]])
def test_saved_images_with_several_labels(tmp_path, label):
    parquet = pytest.importorskip('pyarrow.parquet', reason='pyarrow reads what `datasets` saves')
    parquet.write_table(hub_table([[0], [0, 1]], label), tmp_path / 'train.parquet')
    with refused('data.multi_label'):
        find_classes(str(tmp_path))


def test_processes_that_read_a_saved_data_set_write_its_images_once(tmp_path, monkeypatch):
    parquet = pytest.importorskip('pyarrow.parquet', reason='pyarrow reads what `datasets` saves')
    named = dict(_type='ClassLabel', names=['x', 'y'])
    parquet.write_table(hub_table([0, 1], named), tmp_path / 'train.parquet')
    write, written = hugging_face._write_images, []

    def slowly(*args):
        written.append(args)
        time.sleep(0.2)
        write(*args)

    monkeypatch.setattr(hugging_face, '_write_images', slowly)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(find_classes, [str(tmp_path)] * 2)) == [('x', 'y')] * 2
    assert len(written) == 1


def test_saved_data_sets_that_cannot_be_read(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip('pyarrow', reason='pyarrow reads what `datasets` saves')
    parquet = pytest.importorskip('pyarrow.parquet', reason='as above')
    parquet.write_table(pyarrow.table(dict(text=['a'], label=[0])), tmp_path / 'train.parquet')
    with refused('data.bad_table', match='text, label'):
        find_classes(str(tmp_path))
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    with refused('data.package_missing'):
        find_classes(str(tmp_path))


def test_missing_inputs(tmp_path, flat):
    with refused('data.missing_root', MissingInputError):
        find_classes(str(tmp_path / 'nowhere'))
    with refused('data.missing_root', MissingInputError):
        OwnImages(str(tmp_path / 'nowhere'))
    with refused('data.missing_list', MissingInputError):
        samples(flat, ann_file='my.csv')
    (tmp_path / 'list.csv').write_text('path,label\nno.jpg,a\npolar_bear/1.jpg,b\n')
    with refused('data.missing_images', MissingInputError, match='1 of 2 images .*: no.jpg'):
        samples(flat, ann_file='list.csv')


def test_too_few_for_a_test_split(tmp_path):
    touch(tmp_path, 'a/1.jpg', 'b/1.jpg')
    assert len(paths(tmp_path)) == 2
    with refused('data.too_few_for_test'):
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


def test_given_names_reach_the_data_set_to_the_letter(flat):
    names = {'polar_bear': "McDonald's 7.Up", 'Tiger': 'iPhone 4 {}'}
    found = OwnImages(str(flat), class_names=names).metainfo
    assert found['classes'] == found['prompt_names'] == (names['Tiger'], names['polar_bear'])


def test_a_file_of_names_below_the_home_folder(flat, monkeypatch):
    monkeypatch.setenv('HOME', str(flat.parent))
    (flat / 'names.json').write_text('{"Tiger": "cat"}')
    found = OwnImages(f'~/{flat.name}', class_names='names.json')
    assert found.metainfo['classes'] == ('cat', 'polar bear')


@pytest.mark.parametrize(
    ('given', 'code'),
    [
        ({'aGras': 'grass'}, 'data.unknown_label'),
        ({'aGrass': 'x', 'dRiverLake': 'x'}, 'data.same_name'),
        ({'aGrass': 'x\u200b'}, 'data.invisible_name'),
        ({'aGrass': ' '}, 'data.invisible_name'),
        ('nothing.json', 'data.missing_list'),
        ('bad.json', 'io.damaged_json'),
        ('list.json', 'io.wrong_field'),
        ('bad.csv', 'data.no_column'),
        ('comma.csv', 'data.bad_line'),
    ],
)
def test_mistakes_in_class_names(tmp_path, given, code):
    (tmp_path / 'bad.json').write_text('{')
    (tmp_path / 'list.json').write_text('[]')
    (tmp_path / 'bad.csv').write_text('folder,name\na,b\n')
    (tmp_path / 'comma.csv').write_text('label,name\naGrass,a, b\n')
    with refused(code):
        own_names(given, tmp_path)
