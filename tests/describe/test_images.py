"""Images of a config, their names, shards and descriptions file."""

import zlib

from describing import CONFIG
from mmengine.config import Config
from refused import refused

from mmpretrain_lmmreg.describe.tasks import ConfigImages, find_attach


def read(config, extra=''):
    config.write_text(config.read_text() + extra)
    return Config.fromfile(config)


def test_images_of_each_split(config, tasks):
    images = ConfigImages(Config.fromfile(config), 'train')
    assert sorted(images, key=str) == sorted(tasks, key=str)
    assert images.classes == ('cat', 'red dog')
    assert len(ConfigImages(Config.fromfile(config), 'test')) == 2
    assert len(ConfigImages(Config.fromfile(config), 'all')) == 8
    with refused('describe.no_split'):
        ConfigImages(Config.fromfile(config), 'val')


def test_wrapped_and_repeated_data_sets_give_each_image_once(config, tasks):
    wrapped = """
train_dataloader = dict(_delete_=True, dataset=dict(type='RepeatDataset', times=3, dataset=dict(
    type='ConcatDataset', datasets=[dict(data, data_prefix='train')] * 2)))
"""
    assert len(ConfigImages(read(config, wrapped), 'train')) == len(tasks)


def test_relative_data_root(config, tasks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config.write_text(CONFIG.format(root='data'))
    images = ConfigImages(Config.fromfile(config), 'train')
    assert {t.image for t in images} == {t.image for t in tasks}
    assert images.descriptions_file().as_posix() == 'data/descriptions.jsonl'


def test_shards_are_disjoint_and_whole(config):
    whole = {task.image for task in ConfigImages(Config.fromfile(config), 'all')}
    parts = [
        {task.image for task in ConfigImages(Config.fromfile(config), 'all', (i, 3))}
        for i in range(3)
    ]
    # by name alone: the same on every machine, in any order and beside any other images
    assert parts == [{n for n in whole if zlib.crc32(n.encode()) % 3 == i} for i in range(3)]
    assert min(map(len, parts)) > 0


def test_descriptions_file_is_the_one_that_the_config_reads(config, tmp_path):
    images = ConfigImages(Config.fromfile(config), 'train')
    default = tmp_path / 'data' / 'descriptions.jsonl'
    assert images.descriptions_file() == default
    cfg = read(
        config, "\nx = [dict(type='AttachDescriptions', cache='mine.jsonl', missing='skip')]\n"
    )
    assert find_attach(cfg).missing == 'skip'
    assert ConfigImages(cfg, 'train').descriptions_file().as_posix() == 'mine.jsonl'


def test_two_images_of_one_name_are_refused(config, tmp_path):
    other = tmp_path / 'other' / 'train' / 'cat' / 'a 0000.png'
    other.parent.mkdir(parents=True)
    other.write_bytes(b'')
    more = f"""
val_dataloader = dict(dataset=dict(
    type='CustomDataset', data_root={str(tmp_path / 'other')!r}, data_prefix='train'))
"""
    with refused('describe.same_name'):
        ConfigImages(read(config, more), 'all')
