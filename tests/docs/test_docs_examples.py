"""The examples of docs/contributing.md and docs/python.md work as they are printed."""

import asyncio
import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS, MODELS
from PIL import Image

from mmpretrain_lmmreg import parse_reply
from mmpretrain_lmmreg.config import config_folder, load_config
from mmpretrain_lmmreg.describe.describers import KINDS, Kind, build_describer

DOCS = Path(__file__).resolve().parents[2] / 'docs'


def blocks(page: str) -> list[str]:
    """The Python blocks of a page, in order."""
    return re.findall(r'^```python\n(.*?)^```', (DOCS / page).read_text(), re.M | re.S)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The examples of contributing.md, where Python and mmengine find them."""
    names = ('nearest_mean', 'my_method', 'flowers', 'my_flowers', 'colours')
    for name, block in zip(names, blocks('contributing.md'), strict=True):
        assert 20 <= block.count('\n') <= 40 or name.startswith('my_')
        (tmp_path / f'{name}.py').write_text(block)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv('LMMREG_CONFIGS', str(config_folder()))
    yield tmp_path
    for name in names:
        sys.modules.pop(name, None)
    MODELS.module_dict.pop('NearestMeanHead', None)
    DATASETS.module_dict.pop('Flowers', None)


def test_method(folder):
    config = load_config(folder / 'my_method.py', config_folder() / 'lmmreg_demo.py')
    head = MODELS.build(config.model.head)
    x, labels = torch.eye(64)[:6].repeat(2, 1), torch.arange(6).repeat(2)

    class Inputs:
        trained = False
        image_embeddings = x, labels

    head.set_up(Inputs)
    assert head((x,)).argmax(1).equal(labels)
    assert torch.allclose(head((x,)).amax(1), torch.full((12,), 100.0))


def test_data_set(folder, monkeypatch):
    for n, name in enumerate(('train/rose', 'train/daisy', 'test/rose', 'test/daisy')):
        (folder / name).mkdir(parents=True)
        for image in range(n + 1):
            Image.new('RGB', (8, 8)).save(folder / name / f'{image}.jpg')
    monkeypatch.setenv('FLOWERS_ROOT', str(folder))
    config = Config.fromfile(folder / 'my_flowers.py')
    assert config.model.head.num_classes == 2
    train = DATASETS.build(config.train_dataloader.dataset)
    test = DATASETS.build(config.test_dataloader.dataset)
    assert train.get_gt_labels().tolist() == [0, 0, 1]
    assert test.get_gt_labels().tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert test.metainfo['classes'] == ('daisy', 'rose')


def test_describer(folder, monkeypatch):
    monkeypatch.setitem(KINDS, 'colours', Kind('colours', 'ColourDescriber', ''))
    describer = build_describer('colours', {}, model='', count=3)
    image = describer.prepare(Image.new('RGB', (4, 4), (1, 2, 3)))
    (answer,) = asyncio.run(describer.ask([image], ['Give 3 semantic descriptions']))
    reply = parse_reply(answer.reply)
    assert reply.descriptions == [
        f'Part {n} of the image has the colour 1, 2, 3.' for n in (1, 2, 3)
    ]
    assert describer.model == 'colours'


def test_parsed_reply_of_python_md(capsys):
    (block,) = [block for block in blocks('python.md') if 'parse_reply(' in block]
    exec(block, {})
    assert f'`{capsys.readouterr().out.strip()}`' in (DOCS / 'python.md').read_text()
