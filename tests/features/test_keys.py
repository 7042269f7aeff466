"""Each thing that changes the features changes the name of their table, and nothing else does."""

import copy
import json
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.registry import DATASETS, MODELS

from mmpretrain_lmmreg.features.keys import (
    BY_CONTENT,
    content_of,
    feature_cache_key,
    file_key,
    find_rows,
    row_key,
)
from mmpretrain_lmmreg.io.files import digest
from mmpretrain_lmmreg.io.table import VectorTable


@pytest.fixture
def name(tiny_config):
    """Name of the table after some changes of the config; the weights are as loaded."""

    def of(changes=None, trunk=None, reverse=False):
        cfg = copy.deepcopy(tiny_config)
        for key, value in (changes or {}).items():
            transform = next((t for t in pipeline_of(cfg) if key.startswith(f'{t.type}.')), None)
            if transform:
                transform[key.partition('.')[2]] = value
            else:
                cfg.merge_from_dict({key: value})
        parts = cfg.model.to_dict(), cfg.train_dataloader.dataset.to_dict()
        model, dataset = map(reversed_keys, parts) if reverse else parts
        model = MODELS.build(model)
        model.backbone.init_weights()
        if trunk:
            trunk(model.backbone)
        return digest(feature_cache_key(model, DATASETS.build(dataset)))

    return of


def pipeline_of(cfg):
    return cfg.train_dataloader.dataset.pipeline


def reversed_keys(value):
    if isinstance(value, dict):
        return type(value)((key, reversed_keys(value[key])) for key in reversed(list(value)))
    return [reversed_keys(each) for each in value] if isinstance(value, list) else value


def _one_weight(backbone):
    backbone.visual.conv1.weight.data[0, 0, 0, 0] += 1e-6


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('model.data_preprocessor.mean', [0, 0, 0]),
        ('model.data_preprocessor.std', [1, 1, 2]),
        ('model.data_preprocessor.to_rgb', False),
        ('model.backbone.precision', 'bfloat16'),
        ('ResizeEdge.interpolation', 'bilinear'),
        ('ResizeEdge.scale', 33),
        ('CenterCrop.crop_size', 31),
        ('LoadPicture.backend_args', dict(backend='local')),
    ],
)
def test_changes_that_count(name, key, value):
    assert name({key: value}) != name()


def test_weights_and_the_order_of_transforms_count(name, tiny_config):
    before = name()
    assert name(trunk=_one_weight) != before
    pipeline = pipeline_of(tiny_config)
    pipeline[1], pipeline[2] = pipeline[2], pipeline[1]
    assert name() != before


def test_what_does_not_count(name):
    changes = {
        'model.head.alpha': 1.0,
        'train_dataloader.batch_size': 3,
        'randomness.seed': 5,
        'model.backbone.trainable': 'none',
    }
    assert name(changes) == name(reverse=True) == name()
    assert name(trunk=lambda b: b.visual.proj.data.add_(1)) == name()  # of the projection


def test_path_size_times_inode_and_batch_size_count(tmp_path):
    path = tmp_path / 'a b.jpg'

    def key(batch_size=4):
        return file_key(str(path), batch_size)

    path.write_bytes(b'123')
    keys = [key(), key(5)]
    os.utime(path, ns=(1, 1))
    keys.append(key())
    other = tmp_path / 'other.jpg'
    other.write_bytes(b'124')
    os.utime(other, ns=(1, 1))
    other.replace(path)  # same size and time
    keys.append(key())
    changed = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == changed:  # the clock of a file system ticks slowly
        path.write_bytes(b'125')
    os.utime(path, ns=(1, 1))  # in place, so the same inode: the time of change is another
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert keys[-1] == key() != file_key(str(path.rename(tmp_path / 'c.jpg')), 4)


@pytest.fixture
def known(tmp_path):
    """A table with the row of a file, and the file's key by path."""
    path = tmp_path / 'a\tb.jpg'
    path.write_bytes(b'123')
    table, keys = VectorTable('test', {}), {str(path): file_key(str(path), 4)}
    table.add([row_key(keys[str(path)], content_of(str(path)))], torch.zeros(1, 3))
    return table, keys, path


def test_content_decides_where_that_is_asked_for(known, monkeypatch):
    table, keys, path = known
    assert list(find_rows(table, keys)) == [str(path)]
    path.write_bytes(b'124')
    assert find_rows(table, keys), 'the keys are those of before'
    monkeypatch.setenv(BY_CONTENT, '1')
    assert not find_rows(table, keys)
    path.write_bytes(b'123')
    os.utime(path, ns=(1, 1))
    assert find_rows(table, {str(path): file_key(str(path), 4)})
    assert not find_rows(table, {str(path): file_key(str(path), 5)})


def test_of_two_rows_of_one_file_the_later_counts(known):
    table, keys, path = known
    table.add([row_key(keys[str(path)], 'other')], torch.ones(1, 3))
    assert table.stored(list(find_rows(table, keys).values())).in_memory().tolist() == [[1, 1, 1]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(JSON, JSON)
def test_a_digest_is_a_contents_name(content, other):
    assert digest(reversed_keys(content)) == digest(content)
    same = json.dumps(content, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(content) == digest(other)) == same
    assert digest([content]) != digest([content, None])


def test_a_path_counts_however_it_is_spelt(tmp_path, monkeypatch):
    (tmp_path / 'a.png').touch()
    monkeypatch.chdir(tmp_path)
    spelt = ('a.png', './a.png', f'{tmp_path}//a.png', f'{tmp_path}/../{tmp_path.name}/a.png')
    assert len({file_key(path, 4) for path in spelt}) == 1
    (tmp_path / 'b.png').touch()
    assert file_key('a.png', 4) != file_key('b.png', 4)
