"""The hf describer on a tiny LLaVA: nonsense, by the path that a real VLM takes."""

import asyncio

import numpy as np
import pytest
import torch
from describing import PROMPT, describe
from PIL import Image
from tiny_models import make_llava

from mmpretrain_lmmreg.describe.describers import build_describer
from mmpretrain_lmmreg.describe.describers.hf import split_when_full
from mmpretrain_lmmreg.descriptions import DescriptionStore
from mmpretrain_lmmreg.errors import InputError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return make_llava(tmp_path_factory.mktemp('llava'))


def build(folder, temperature=0, **options):
    options = {'max_new_tokens': 12, 'temperature': temperature, 'dtype': 'float32', **options}
    return build_describer('hf', options, model=str(folder), prompt=PROMPT, batch_size=3)


def pictures():
    rng = np.random.default_rng(5)
    sizes = [(40, 90, 3), (56, 56, 3), (200, 31, 3)]
    return [Image.fromarray(rng.integers(0, 255, size, np.uint8)) for size in sizes]


def ask(describer, images):
    return asyncio.run(describer.ask([describer.prepare(image) for image in images]))


def test_same_reply_alone_and_in_a_batch_of_unequal_sizes(folder):
    describer = build(folder)
    together = ask(describer, pictures())
    alone = [ask(describer, [picture])[0] for picture in pictures()]
    assert together == alone
    assert len({answer.reply for answer in together}) > 1  # the picture matters
    assert all(answer.tokens_out <= 12 and answer.tokens_in > 16 for answer in together)
    assert describer.deterministic


def test_texts_of_unequal_length_are_padded_on_the_left(folder):
    tokenizer = build(folder)._processor.tokenizer
    ids = tokenizer(['a', 'a longer text'], padding=True).input_ids
    assert ids[0][0] == tokenizer.pad_token_id != ids[1][0]


def test_prompt_picture_and_settings_reach_the_model(folder, monkeypatch):
    describer = build(folder, temperature=1)
    seen = {}
    monkeypatch.setattr(
        describer._model,
        'generate',
        lambda **inputs: seen.update(inputs) or torch.cat([inputs['input_ids']] * 2, dim=1),
    )
    ask(describer, pictures()[:1])
    text = describer._processor.tokenizer.decode(seen['input_ids'][0])
    assert text == 'user: ' + '<image>' * 16 + PROMPT + '\nassistant: '
    assert seen['pixel_values'].shape == (1, 3, 56, 56)
    sampling = {k: seen[k] for k in ('do_sample', 'temperature', 'top_p', 'repetition_penalty')}
    assert sampling == dict(do_sample=True, temperature=1, top_p=0.9, repetition_penalty=1.05)
    assert not describer.deterministic


def test_dtype_is_an_option_and_a_setting(folder):
    describer = build(folder, dtype='bfloat16')
    assert describer._model.dtype == torch.bfloat16
    assert ask(describer, pictures())[0].error == ''
    assert describer.settings != build(folder).settings


def test_a_run_keeps_the_replies(folder, tasks, tmp_path):
    out = tmp_path / 'd.jsonl'
    assert describe(out, tasks, build(folder)).asked == 6
    assert len(DescriptionStore(out)) == 6
    assert describe(out, tasks, build(folder)).kept == 6


def test_batch_that_does_not_fit_is_halved():
    calls = []

    def generate(images):
        calls.append(len(images))
        if len(images) > 1 or images == ['huge']:
            raise torch.cuda.OutOfMemoryError('full')
        return [images[0].upper()]

    answers = split_when_full(generate, ['a', 'huge', 'c'])
    assert (answers[0], answers[2]) == ('A', 'C')
    assert answers[1].error == 'out of memory for a single image'
    assert calls == [3, 1, 2, 1, 1]


def test_folder_without_a_model(tmp_path):
    with pytest.raises(InputError, match='not a VLM that transformers can load'):
        build(tmp_path)
    with pytest.raises(InputError, match='--describer hf needs --model'):
        build('')
