"""The transform, by the registry and on a real data set's samples."""

import pytest
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from refused import refused

from mmpretrain_lmmreg.descriptions import AttachDescriptions, DescriptionWriter
from mmpretrain_lmmreg.descriptions import attach as attach_module
from mmpretrain_lmmreg.errors import MissingInputError


@pytest.fixture
def root(tmp_path):
    with DescriptionWriter(tmp_path / 'descriptions.jsonl') as writer:
        for name in ('train/x/a b.jpg', 'train/y/c.jpg'):
            record = {'image': name, 'prompt': 'p', 'reply': '', 'status': 'short'}
            writer.append({**record, 'descriptions': [f'Seen in {name}.']})
        writer.append({'image': 'train/y/d.jpg', 'prompt': 'p', 'reply': 'I cannot see it.'})
    return tmp_path


def build(**options):
    return TRANSFORMS.build(dict(type='AttachDescriptions', **options))


def sample(root, name):
    return {'img_path': str(root / name), 'rel_path': name, 'data_root': str(root)}


def test_descriptions_are_added_by_rel_path(root):
    results = build()(sample(root, 'train/x/a b.jpg'))
    assert results['descriptions'] == ['Seen in train/x/a b.jpg.']
    assert build()(sample(root, 'train/y/d.jpg'))['descriptions'] == []


def test_samples_of_mmpretrains_own_data_set(root, monkeypatch):
    for name in ('train/x/a b.jpg', 'train/y/c.jpg'):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (4, 4)).save(root / name)
    monkeypatch.chdir(root.parent)
    dataset = CustomDataset(data_root=root.name, data_prefix='train')
    transform = build(data_root=root.name)
    found = [transform.lookup(dataset.get_data_info(i)) for i in range(len(dataset))]
    assert found == [['Seen in train/x/a b.jpg.'], ['Seen in train/y/c.jpg.']]


def test_cache_and_data_root_may_be_elsewhere(root, tmp_path):
    elsewhere = (root / 'descriptions.jsonl').rename(tmp_path / 'mine.jsonl')
    transform = build(cache=str(elsewhere), data_root=str(root))
    assert transform.path_for({}) == elsewhere
    assert transform.lookup({'img_path': str(root / 'train/y/c.jpg')}) == ['Seen in train/y/c.jpg.']
    assert build(data_root='r').path_for({}).as_posix() == 'r/descriptions.jsonl'


def test_image_that_was_never_described(root):
    words = f'train/z.jpg has no descriptions in {root / "descriptions.jsonl"}'
    with refused('descriptions.missing_images', match=words):
        build().lookup(sample(root, 'train/z.jpg'))
    for missing in ('warn', 'skip'):
        assert build(missing=missing).lookup(sample(root, 'train/z.jpg')) == []
        assert build(missing=missing).find(sample(root, 'train/z.jpg')) is None
        assert build(missing=missing).find(sample(root, 'train/y/d.jpg')) == []


def test_no_descriptions_file_is_an_error_unless_images_may_be_missing(tmp_path):
    for missing in ('error', 'warn'):
        with refused('descriptions.no_file', MissingInputError):
            build(missing=missing).lookup(sample(tmp_path, 'train/z.jpg'))
    assert build(missing='skip').lookup(sample(tmp_path, 'train/z.jpg')) == []


@pytest.mark.parametrize(
    ('options', 'sample', 'code'),
    [
        ({}, {'img_path': 'a.jpg'}, 'descriptions.no_data_root'),
        ({'data_root': 'r'}, {'img': 0}, 'descriptions.no_path'),
        ({'data_root': 'r/s'}, {'img_path': 'r/a.jpg'}, 'descriptions.outside_root'),
    ],
)
def test_samples_that_cannot_be_named(options, sample, code):
    with refused(code):
        build(**options).lookup(sample)


def test_unknown_choice_for_missing():
    with refused('descriptions.unknown_choice', match="'drop'"):
        AttachDescriptions(missing='drop')


def test_the_file_is_read_once_until_it_changes(root, monkeypatch):
    reads = []
    monkeypatch.setattr(
        attach_module,
        'DescriptionStore',
        lambda path, read=attach_module.DescriptionStore: reads.append(path) or read(path),
    )
    first, second = build(), build()
    for name in ('train/x/a b.jpg', 'train/y/c.jpg'):
        first.lookup(sample(root, name))
        second.lookup(sample(root, name))
    assert len(reads) == 1
    new = {'image': 'new.jpg', 'prompt': 'p', 'reply': '1. New.'}
    with DescriptionWriter(root / 'descriptions.jsonl') as writer:
        writer.append(new)
    assert first.lookup(sample(root, 'new.jpg')) == ['New.']


def test_repr_and_promise():
    assert repr(build(cache='c.jsonl')).startswith("AttachDescriptions(cache='c.jsonl', ")
    assert AttachDescriptions.deterministic
