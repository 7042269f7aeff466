"""The hf describer on a tiny LLaVA: nonsense, by the path that a real VLM takes."""

import asyncio

import numpy as np
import pytest
import torch
from describing import PROMPT, describe
from PIL import Image
from refused import refused
from tiny_models import make_llava

from mmpretrain_lmmreg.describe.describers import build_describer, hf
from mmpretrain_lmmreg.describe.describers.hf import split_when_full
from mmpretrain_lmmreg.descriptions import DescriptionStore


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return make_llava(tmp_path_factory.mktemp('llava'))


def build(folder, temperature=0, **options):
    options = {'max_new_tokens': 12, 'temperature': temperature, 'dtype': 'float32', **options}
    return build_describer('hf', options, model=str(folder), batch_size=3)


def pictures():
    rng = np.random.default_rng(5)
    sizes = [(40, 90, 3), (56, 56, 3), (200, 31, 3)]
    return [Image.fromarray(rng.integers(0, 255, size, np.uint8)) for size in sizes]


def ask(describer, images):
    contents = [describer.prepare(image) for image in images]
    return asyncio.run(describer.ask(contents, [PROMPT] * len(images)))


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
    with refused('describe.model'):
        build(tmp_path)
    with refused('describe.model'):
        build('')


def test_odd_picture_is_an_error_of_its_own(folder, tasks, tmp_path, monkeypatch):
    describer = build(folder)
    processor, real = describer._processor, describer._processor.apply_chat_template

    def fussy(chats, **options):
        sizes = [chat[0]['content'][0]['image'].size for chat in chats]
        if (1900, 10) in sizes:
            raise ValueError('absolute aspect ratio must be smaller than 200')
        return real(chats, **options)

    monkeypatch.setattr(processor, 'apply_chat_template', fussy, raising=False)
    Image.new('RGB', (1900, 10)).save(tasks[1].path)
    out = tmp_path / 'd.jsonl'
    tally = describe(out, tasks, describer)
    assert (tally.statuses['error'], tally.asked) == (1, 6)
    (record,) = (r for r in DescriptionStore(out) if r['status'] == 'error')
    assert record['image'] == tasks[1].image
    assert 'aspect ratio' in record['error']


def test_fault_of_every_picture_stops_the_run(folder, tasks, tmp_path, monkeypatch):
    describer = build(folder)

    def broken(*_, **__):
        raise RuntimeError('CUDA error: device-side assert triggered')

    monkeypatch.setattr(describer._processor, 'apply_chat_template', broken, raising=False)
    with refused('describe.rejected'):
        describe(tmp_path / 'd.jsonl', tasks, describer)


def test_model_without_a_chat_template(folder, monkeypatch):
    load = hf.AutoProcessor.from_pretrained

    def bare(*args, **options):
        processor = load(*args, **options)
        processor.chat_template = None
        return processor

    monkeypatch.setattr(hf.AutoProcessor, 'from_pretrained', bare)
    with refused('describe.model'):
        build(folder)


def test_max_pixels(folder):
    describer = build_describer('hf', {}, model=str(folder), max_pixels=200)
    assert describer.prepare(Image.new('RGB', (40, 20))).size == (20, 10)
    assert describer.settings['max_pixels'] == 200
    assert 'max_pixels' not in build(folder).settings


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        ({'dtype': 'bf16'}, 'dtype=bf16: choose auto, float32, bfloat16'),
        ({'device': 'cuda:99'}, 'device=cuda:99: it cannot be used here'),
        ({'device': 'toaster'}, 'device=toaster: it cannot be used here'),
    ],
)
def test_dtype_and_device_that_do_not_exist(folder, options, told):
    with refused('describe.option', match=told):
        build(folder, **options)


def test_what_has_no_use_for_a_local_model(folder):
    with refused('describe.option'):
        build_describer('hf', {}, model=str(folder), count=10, requests_per_minute=3)
