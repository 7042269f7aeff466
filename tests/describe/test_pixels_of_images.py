"""Images asked about from Python, known by their pixels."""

import asyncio

import numpy as np
import pytest
from PIL import Image
from refused import refused

from mmpretrain_lmmreg.datasets.pictures import pixel_key
from mmpretrain_lmmreg.describe.pixels import describe_images
from mmpretrain_lmmreg.describe.plan import DescribePlan
from mmpretrain_lmmreg.descriptions import DescriptionStore

PLAN = DescribePlan('openai', 'vlm', concurrency=1)


@pytest.fixture
def images(tasks):
    """A path, the same pixels from memory, an array, and another path."""
    rgb = Image.open(tasks[0].path).convert('RGB')
    return [tasks[0].path, rgb, np.asarray(Image.open(tasks[1].path).convert('RGB')), tasks[2].path]


def test_each_content_is_asked_about_once_wherever_it_lies(images, tmp_path, server):
    store = tmp_path / 'asked.jsonl'
    found = describe_images(images, PLAN, store)
    again = describe_images(images[::-1], PLAN, store)
    assert len(server.bodies) == len(DescriptionStore(store)) == 3
    assert found.keys[0] == found.keys[1] == pixel_key(images[0])
    assert found.descriptions[0] == found.descriptions[1] != found.descriptions[2]
    assert again.descriptions == found.descriptions[::-1]
    assert (again.tally.asked, again.tally.kept) == (0, 3)


def test_limits_end_a_call_and_the_next_one_continues(images, tmp_path, server):
    store = tmp_path / 'asked.jsonl'
    limited = DescribePlan('openai', 'vlm', concurrency=1, max_tokens_total=200)
    found = describe_images(images, limited, store)
    assert (found.tally.spent, found.tally.asked) == ('--max-tokens-total', 1)
    known = {key: len(texts) for key, texts in zip(found.keys, found.descriptions, strict=True)}
    assert sorted(known.values()) == [0, 0, 10]
    assert [bool(record) for record in found.records] == list(map(bool, found.descriptions))
    assert all(describe_images(images, PLAN, store).descriptions)
    assert len(server.bodies) == 3


def test_within_a_running_loop_as_in_a_notebook(images, tmp_path, server):
    async def cell():
        return describe_images(images, PLAN, tmp_path / 'asked.jsonl')

    assert all(asyncio.run(cell()).descriptions)


def test_what_is_no_image(tmp_path):
    for wrong in (tmp_path / 'none.jpg', np.zeros((2, 2)), 7):
        with refused('describe.image'):
            describe_images([wrong], PLAN, tmp_path / 'asked.jsonl')
