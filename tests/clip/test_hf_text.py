"""A language model with an adapter as text tower, against transformers run text by text."""

import copy
import json
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from refused import refused
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

from mmpretrain_lmmreg.clip import text_tower
from mmpretrain_lmmreg.clip.adapter import ResidualBlock
from mmpretrain_lmmreg.clip.hf_text import load_hf_text
from mmpretrain_lmmreg.clip.text_tower import TextTower
from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.features import class_means

TEXTS = ['diving', 'a man climbs a steep rock above the sea', 'two dogs', '']
INSTRUCTION, ENDING = 'Describe the picture: ', ' </s>'
WIDTH, D = 32, 12


@pytest.fixture(scope='session')
def llama(tmp_path_factory):
    """A random Llama of two layers with a byte-level BPE that begins with <s>."""
    folder = tmp_path_factory.mktemp('llama')
    torch.manual_seed(0)
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([*TEXTS, INSTRUCTION], vocab_size=300, special_tokens=['<s>', '</s>'])
    bpe.post_processor = TemplateProcessing(single='<s> $A', special_tokens=[('<s>', 0)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, bos_token='<s>', eos_token='</s>', pad_token='</s>'
    )
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaModel(config).eval().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(llama, tmp_path):
    """A function: settings, adapter's module or tensors -> the name of a folder with them."""

    def make(adapter=None, **settings):
        for file in llama.iterdir():
            (tmp_path / file.name).unlink(missing_ok=True)
            (tmp_path / file.name).symlink_to(file)
        if adapter is not None:
            state = adapter.state_dict() if isinstance(adapter, nn.Module) else adapter
            save_file(state, tmp_path / 'adapter.safetensors')
            settings['adapter'] = 'adapter.safetensors'
        (tmp_path / 'text_tower.json').write_text(json.dumps(settings))
        return f'hf-dir:{tmp_path}'

    return make


def mlp():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(WIDTH, 20), nn.GELU(), nn.Linear(20, D, bias=False))


def llm2clips():
    torch.manual_seed(1)
    blocks = [ResidualBlock(WIDTH, 48), ResidualBlock(WIDTH, 48)]
    return nn.Sequential(*blocks, nn.LayerNorm(WIDTH), nn.Linear(WIDTH, D))


@torch.no_grad()
def states(llama, text):
    """Last hidden states of one text with nothing behind it (L, W), and its tokens."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(llama)
    tokens = tokenizer(text, return_tensors='pt')['input_ids']
    return LlamaModel.from_pretrained(llama).eval()(input_ids=tokens).last_hidden_state[0]


@pytest.mark.parametrize('pooling', ['last', 'mean', 'mean_text'])
def test_pools_each_text_by_itself(pooling, folder, llama, monkeypatch):
    adapter = mlp().eval()
    name = folder(adapter, pooling=pooling, instruction=INSTRUCTION, ending=ENDING)
    tower = TextTower(name)
    rows = [states(llama, INSTRUCTION + text + ENDING) for text in TEXTS]
    # of 'Describe the picture: ' the last space belongs to the word behind it
    skip = len(states(llama, INSTRUCTION.strip()))
    expected = {
        'last': [row[-1] for row in rows],
        'mean': [row.mean(0) for row in rows],
        'mean_text': [row[skip:].mean(0) for row in rows],
    }[pooling]
    with torch.no_grad():
        expected = adapter(torch.stack(expected))
    assert tower.dim == D
    torch.testing.assert_close(tower.encode(TEXTS), expected, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(text_tower, 'BATCH', 1)
    torch.testing.assert_close(tower.encode(TEXTS), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('whole', [True, False])
@pytest.mark.parametrize('normalize', [None, True, False])
def test_llm2clips_adapter_takes_unit_vectors_by_default(folder, llama, whole, normalize):
    adapter = llm2clips().eval()
    tensors = adapter.state_dict()
    if whole:
        tensors = {f'text_adapter.text_adaptor.{n}': t for n, t in tensors.items()}
        tensors['visual.proj'] = torch.zeros(3)
    tower = TextTower(folder(tensors, pooling='mean', normalize=normalize))
    pooled = torch.stack([states(llama, text).mean(0) for text in TEXTS[:3]])
    with torch.no_grad():
        expected = adapter(pooled if normalize is False else nn.functional.normalize(pooled))
    torch.testing.assert_close(tower.encode(TEXTS[:3]), expected, rtol=1e-4, atol=1e-5)


def test_linear_adapter_and_none(folder, llama):
    torch.manual_seed(1)
    linear, last = nn.Linear(WIDTH, D), states(llama, 'diving')[-1]
    torch.testing.assert_close(
        TextTower(folder(linear)).encode(['diving'])[0], linear(last).detach(), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        TextTower(folder()).encode(['diving'])[0], last, rtol=1e-4, atol=1e-5
    )


def test_bidirectional_tokens_see_what_follows(folder):
    def first(**settings):
        tower, tokenizer = load_hf_text(folder(**settings), 20)
        tower.pool = lambda states, there: states[:, 0]
        with torch.no_grad():
            return tower.eval()(tokenizer(['a man', 'a man climbs']))

    causal, both = first(), first(bidirectional=True)
    torch.testing.assert_close(causal[0], causal[1])
    assert (both[0] - both[1]).abs().max() > 1e-3
    padded, alone = (
        TextTower(folder(bidirectional=True)).encode(texts)[:1]
        for texts in (['a man', 'a man climbs a steep rock'], ['a man'])
    )
    torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-5)


def test_a_long_text_keeps_the_ending(folder):
    name = folder(instruction=INSTRUCTION, ending=ENDING, max_length=30)
    tower = TextTower(name)
    tokens = tower.tokenizer(['a man ' * 40])[0].tolist()
    assert len(tokens) == 30 and tokens[-1] == 1  # </s>
    assert tower.count_cut(['a man ' * 40, 'two']) == 1
    assert TextTower(name, text_context=100).tokenizer(['two']).shape == (1, 100)


def test_half_a_surrogate_pair_is_a_mark(folder):
    tokens = TextTower(folder()).tokenizer(['two \ud83d', 'two ?'])
    assert tokens[0].equal(tokens[1])


def test_fingerprint_names_all_that_matters(folder):
    settings = (
        {},
        dict(pooling='mean'),
        dict(instruction='A: '),
        dict(bidirectional=True),
        dict(adapter=mlp()),
        dict(adapter=mlp(), normalize=True),
    )
    prints = [TextTower(folder(**each)).fingerprint for each in settings]
    assert len(set(prints)) == len(prints)
    assert TextTower(folder()).fingerprint == prints[0]


def write_incomplete(folder):
    name = folder()
    file = Path(name.removeprefix('hf-dir:')) / 'model.safetensors'
    file.unlink()
    save_file({'norm.weight': torch.ones(WIDTH)}, file, {'format': 'pt'})
    return name


def without_adapter(folder):
    name = folder(nn.Linear(WIDTH, D))
    (Path(name.removeprefix('hf-dir:')) / 'adapter.safetensors').unlink()
    return name


@pytest.mark.parametrize(
    'make, code, match',
    [
        (lambda folder: 'hf-dir:none', 'clip.missing_file', 'text_tower.json'),
        (without_adapter, 'clip.missing_file', 'adapter.safetensors'),
        (lambda folder: folder(pool='last'), 'clip.bad_configuration', "'pool'"),
        (lambda folder: folder(pooling='max'), 'config.unknown_value', 'max'),
        (lambda folder: folder(max_length='9'), 'io.wrong_field', 'max_length'),
        (lambda folder: folder(normalize='yes'), 'io.wrong_field', 'normalize'),
        (lambda folder: folder(instruction='a ' * 40, max_length=20), 'clip.text_context', '20'),
        (lambda folder: folder(nn.Linear(8, D)), 'clip.no_adapter', 'width 8'),
        (lambda folder: folder(nn.LayerNorm(8)), 'clip.no_adapter', 'no linear layer'),
        (
            lambda folder: folder({'0.weight': torch.ones(3, 4), '0.scale': torch.ones(3)}),
            'clip.no_adapter',
            'adapter.safetensors',
        ),
        (write_incomplete, 'clip.no_language_model', 'not in its weights'),
    ],
)
def test_mistakes(folder, make, code, match):
    with refused(code, match=match):
        TextTower(make(folder))


def test_weights_elsewhere(folder):
    with refused('clip.other_model'):
        TextTower(folder(), pretrained='x.pt')


def test_class_means_and_the_check_of_d(folder, tiny_config):
    def means(adapter):
        tiny_config.default_hooks.class_means.model_name = folder(adapter, pooling='mean')
        runner = Runner.from_cfg(copy.deepcopy(tiny_config))
        runner.train()
        return runner.model.head.class_means

    torch.manual_seed(2)
    found = means(nn.Linear(WIDTH, 24))
    assert found.shape == (3, 24) and found.any(1).all()
    model = tiny_config.default_hooks.class_means.model_name
    assert class_means({'a': ['diving']}, model).shape == (1, 24)
    with pytest.raises(InputError, match='the text tower gives D=12, the image embeddings .* D=24'):
        means(nn.Linear(WIDTH, D))
