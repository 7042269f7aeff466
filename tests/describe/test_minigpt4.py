"""The minigpt4 describer on mmpretrain's own class, everything in it tiny and random."""

import asyncio

import numpy as np
import pytest
import torch
from describing import PROMPT
from PIL import Image
from refused import refused
from tiny_models import make_minigpt4
from transformers import LlamaTokenizer

from mmpretrain_lmmreg.describe.describers import build_describer
from mmpretrain_lmmreg.describe.describers.minigpt4 import StopAtTurn
from mmpretrain_lmmreg.errors import MissingInputError

OFFICIAL = '###Human: <Img><ImageHere></Img> ' + PROMPT + ' ###Assistant: '


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return make_minigpt4(tmp_path_factory.mktemp('minigpt4'))


@pytest.fixture(scope='module')
def describer(files):
    return build(files, temperature=0)


def build(files, **options):
    config, given = files
    options = {'max_new_tokens': 12, **given, **options}
    return build_describer('minigpt4', options, model=str(config), batch_size=2)


def pictures(count=2):
    rng = np.random.default_rng(1)
    return [Image.fromarray(rng.integers(0, 255, (30 + i, 50, 3), np.uint8)) for i in range(count)]


def ask(describer, images):
    contents = [describer.prepare(image) for image in images]
    return asyncio.run(describer.ask(contents, [PROMPT] * len(images)))


@pytest.fixture
def reached(describer, monkeypatch):
    """What the language model is given for two pictures."""
    seen = {}

    def generate(**inputs):
        seen.update(inputs)
        return torch.tensor([[5, 2], [6, 2]])

    monkeypatch.setattr(describer._model.llama_model, 'generate', generate)
    ask(describer, pictures())
    return seen


def test_token_ids_are_the_official_templates(files, describer):
    tokenizer = LlamaTokenizer.from_pretrained(files[1]['llm'])
    before, after = OFFICIAL.split('<ImageHere>')
    expected = [
        [tokenizer.bos_token_id, *tokenizer(before, add_special_tokens=False).input_ids],
        tokenizer(after, add_special_tokens=False).input_ids,
    ]
    assert list(describer.token_ids(PROMPT)) == expected
    assert tokenizer.unk_token_id not in expected[0] + expected[1]
    assert tokenizer.decode(expected[0][1:]) == '###Human: <Img>'


def test_what_reaches_the_language_model(describer, reached):
    before, after = describer.token_ids(PROMPT)
    table = describer._model.llama_model.model.embed_tokens.weight
    embeddings = reached['inputs_embeds']
    start, end = len(before), len(before) + 4
    assert embeddings.shape == (2, end + len(after), 32)
    for row in embeddings:
        torch.testing.assert_close(row[:start], table[before], rtol=0, atol=0)
        torch.testing.assert_close(row[end:], table[after], rtol=0, atol=0)
    pixels = torch.stack([describer.prepare(p)['inputs'] for p in pictures()])
    pixels = describer._model.data_preprocessor({'inputs': pixels})['images']
    image_tokens = describer._model.encode_img(pixels)[0]
    torch.testing.assert_close(embeddings[:, start:end], image_tokens)
    assert not torch.equal(embeddings[0, start:end], embeddings[1, start:end])


def test_mask_is_ones_and_settings_are_official(files, describer, reached):
    assert reached['attention_mask'].shape == reached['inputs_embeds'].shape[:2]
    assert bool((reached['attention_mask'] == 1).all())
    assert reached['eos_token_id'] == 2
    assert [type(rule) for rule in reached['stopping_criteria']] == [StopAtTurn]
    official = build(files)._generation
    assert official == dict(
        max_new_tokens=12,
        num_beams=1,
        do_sample=True,
        top_p=0.9,
        temperature=1.0,
        repetition_penalty=1.05,
        min_length=1,
        length_penalty=1.0,
    )


def test_stop_rule_sees_the_turn_however_it_is_cut_into_tokens(files):
    tokenizer = LlamaTokenizer.from_pretrained(files[1]['llm'])
    one = tokenizer.convert_tokens_to_ids('###')
    two, single = (tokenizer.convert_tokens_to_ids(t) for t in ('##', '#'))
    word = tokenizer.convert_tokens_to_ids('e')
    stop = StopAtTurn(tokenizer)
    assert tokenizer.unk_token_id not in (one, word, single)
    rows = [[word, word, word, one], [word, single, single, single], [word, single, word, single]]
    assert stop(torch.tensor(rows), None).tolist() == [True, True, False]
    if two != tokenizer.unk_token_id:
        assert stop(torch.tensor([[word, two, single]]), None).tolist() == [True]


def test_replies_end_before_the_next_turn(describer, monkeypatch):
    tokenizer = describer._model.llama_tokenizer
    ids = tokenizer('red boat ###Human: more', add_special_tokens=False, return_tensors='pt')
    monkeypatch.setattr(describer._model.llama_model, 'generate', lambda **_: ids.input_ids)
    assert ask(describer, pictures(1))[0].reply == 'red boat'


def test_pixels_are_the_official_ones(describer):
    picture = pictures(1)[0]
    data = {'inputs': describer.prepare(picture)['inputs'][None]}
    pixels = describer._model.data_preprocessor(data)['images'][0]
    resized = np.asarray(picture.resize((28, 28), Image.Resampling.BICUBIC), np.float32) / 255
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    official = torch.from_numpy((resized - mean) / std).permute(2, 0, 1).float()
    torch.testing.assert_close(pixels, official, rtol=0, atol=1e-5)


def test_same_reply_alone_and_in_a_batch(describer):
    together = ask(describer, pictures(3))
    assert together == [ask(describer, [picture])[0] for picture in pictures(3)]
    assert all(answer.tokens_out <= 12 for answer in together)


def test_all_missing_parts_are_named_at_once(files, tmp_path):
    with refused('describe.model', MissingInputError) as error:
        build_describer('minigpt4', {'bert': str(tmp_path / 'none')}, model=str(files[0]))
    for part in ('bert=', 'llm=FOLDER is needed', 'checkpoint=FILE is needed'):
        assert part in str(error.value)


def test_configs_by_name_and_wrong_ones(tmp_path):
    with refused('describe.model', match='minigpt-4_vicuna-7b_caption'):
        build_describer('minigpt4', {}, model='nonsense')
    with refused('describe.model', match='llm=FOLDER is needed'):
        build_describer('minigpt4', {}, model='')
    other = tmp_path / 'other.py'
    other.write_text("model = dict(type='ImageClassifier')")
    with refused('describe.model'):
        build_describer('minigpt4', {}, model=str(other))


def test_checkpoint_of_something_else(files, tmp_path):
    path = tmp_path / 'x.pth'
    torch.save({'state_dict': {'head.weight': torch.zeros(1)}}, path)
    with refused('describe.model'):
        build(files, checkpoint=str(path))
