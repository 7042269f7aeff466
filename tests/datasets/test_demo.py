"""DemoActions gives samples as every other data set does."""

import shutil

from mmpretrain.registry import DATASETS
from refused import refused

from mmpretrain_lmmreg.datasets import DemoActions
from mmpretrain_lmmreg.demo import render
from mmpretrain_lmmreg.demo.actions import CLASSES
from mmpretrain_lmmreg.errors import MissingInputError


def test_samples(drawn):
    dataset = DATASETS.build({'type': 'DemoActions', 'data_root': str(drawn), 'split': 'test'})
    assert len(dataset) == 432 and dataset.CLASSES == CLASSES
    info = dataset.get_data_info(431)
    assert info['rel_path'] == 'test/throwing/35-1.png'
    assert info['img_path'] == str(drawn / info['rel_path'])
    assert (info['gt_label'], info['group']) == (5, 'test/throwing/35')
    assert info['data_root'] == str(drawn)


def test_val_comes_from_train_by_group(drawn):
    train, val = (DemoActions(str(drawn), split, val_fraction=0.2) for split in ('train', 'val'))
    groups = [{d.get_data_info(i)['group'] for i in range(len(d))} for d in (train, val)]
    assert (len(train), len(val)) == (288, 72) and not set.intersection(*groups)


def test_a_folder_that_is_no_demo(tmp_path):
    for folder, missing in ((tmp_path, 'scenes.jsonl'), (tmp_path / 'nowhere', 'nowhere')):
        with refused('data.not_prepared', MissingInputError, match=f"{missing}'.* Leave data_root"):
            DemoActions(str(folder))


def test_first_use_draws(monkeypatch):
    few = list(render.scenes())[:2]
    monkeypatch.setattr(render, 'scenes', lambda seed: iter(few))
    assert len(DemoActions()) == 2


def test_damaged_scenes_are_refused_by_name(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / 'demo', ignore=shutil.ignore_patterns('*.png'))
    file = tmp_path / 'demo' / 'scenes.jsonl'
    whole = file.read_bytes()
    for damaged in (whole.replace(b'train/', b'trbin/', 1), whole[:1000], b'\xff', b''):
        file.write_bytes(damaged)
        with refused('data.damaged', match=f'{file} '):
            DemoActions(str(tmp_path / 'demo'), 'test')
    (tmp_path / 'demo' / 'checksums.json').unlink()  # as a folder drawn by an earlier version
    for damaged in (whole[:1000], b'[1]\n', b'{}\n'):
        file.write_bytes(damaged)
        with refused('data.damaged', match=f'{file} '):
            DemoActions(str(tmp_path / 'demo'), 'test')
