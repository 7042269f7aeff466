"""Prompts through the frozen tower: written ones embed as ever, learned ones get gradients."""

import open_clip
import pytest
import torch
from open_clip.hf_model import HFTextEncoder
from refused import refused
from transformers import BertConfig

from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.text import prompt_learning
from mmpretrain_lmmreg.text.prompt_learning import PromptTower, context_slots

CLASSES = ['climbing', 'Pole Vaulting', 'X ray of a YoYo']
VISION = dict(image_size=16, layers=1, width=16, patch_size=8, head_width=8)
TEXT = dict(context_length=24, vocab_size=49408, width=32, heads=4, layers=2)
PROMPTS = [
    'a photo of a climbing.',
    'a photo of a Pole Vaulting.',
    'a photo of a X ray of a YoYo.',
]


def tower(**text):
    torch.manual_seed(0)
    built = open_clip.CustomTextCLIP(16, VISION, {**TEXT, **text}).eval().text
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return TextTower.from_module(built, open_clip.tokenizer.SimpleTokenizer(context_length=24))


@pytest.mark.parametrize(
    'form',
    [
        {},
        dict(pool_type='eos', eos_id=49407),
        dict(no_causal_mask=True, pool_type='last'),
        dict(proj_bias=True, output_tokens=True),
    ],
    ids=str,
)
def test_written_context_embeds_as_its_text(form):
    text = tower(**form)
    prompts = PromptTower(text, CLASSES, 4)
    context = prompts.context_of('a photo of a', 4)
    embeddings = prompts.embed(context[None])[0]
    torch.testing.assert_close(embeddings, text.encode(PROMPTS), rtol=1e-5, atol=1e-5)
    other = prompts.embed(torch.randn(1, 4, 32))[0]
    assert (other - embeddings).abs().max() > 1e-3


def test_causal_towers_run_on_what_differs():
    (part,) = PromptTower(tower(), CLASSES, 4).parts  # the shared beginning, names, ". end" each
    assert part.tokens.shape == (1 + 4 + 1 + 3 + 6 + 3 * 2,)
    (part,) = PromptTower(tower(), CLASSES, 4, specific=True).parts  # all share the beginning
    assert part.tokens.shape == (1 + 3 * 4 + 1 + 3 + 6 + 3 * 2,)
    (part,) = PromptTower(tower(no_causal_mask=True), CLASSES, 4).parts
    assert part.tokens.shape == (3, 24)


@pytest.mark.parametrize(
    ('position', 'prompt'), [('middle', 'a photo {} of a.'), ('front', '{} a photo of a.')]
)
def test_name_elsewhere(position, prompt):
    text = tower()
    prompts = PromptTower(text, CLASSES, 4, position)
    context = prompts.context_of('a photo of a', 4)
    names = ['climbing', 'Pole Vaulting', 'X ray of a YoYo']
    expected = text.encode([prompt.format(name) for name in names])
    embeddings = prompts.embed(context[None])[0]
    torch.testing.assert_close(embeddings, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('causal', [True, False])
@pytest.mark.parametrize('at_once', [20, 1024])
def test_a_context_for_each_class_and_image(causal, at_once, monkeypatch):
    text = tower(no_causal_mask=not causal)
    contexts = torch.randn(2, 3, 2, 32, requires_grad=True)
    single = PromptTower(text, CLASSES, 2)
    rows = [[single.embed(contexts[i, c][None])[0, c] for c in range(3)] for i in range(2)]
    expected = torch.stack([torch.stack(row) for row in rows])
    expected.square().sum().backward()
    gradient, contexts.grad = contexts.grad, None
    monkeypatch.setattr(prompt_learning, 'TOKENS_AT_ONCE', at_once)
    prompts = PromptTower(text, CLASSES, 2, specific=True)
    assert (len(prompts.parts) > 1) == (at_once == 20)
    embeddings = prompts.embed(contexts)
    torch.testing.assert_close(embeddings, expected, rtol=1e-4, atol=1e-5)
    embeddings.square().sum().backward()
    torch.testing.assert_close(contexts.grad, gradient, rtol=1e-3, atol=1e-4)


def test_memory_is_bounded_by_tokens_at_once(monkeypatch):
    """What a pass keeps for its backward pass does not grow with the classes."""

    def kept(count):
        prompts = PromptTower(tower(), [f'action {i:02}' for i in range(count)], 2)
        context, seen = torch.randn(1, 2, 32, requires_grad=True), []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: seen.append(t.numel()) or t, lambda t: t
        ):
            prompts.embed(context)
        return sum(seen)

    few, many = kept(8), kept(64)
    assert many > 2 * few
    monkeypatch.setattr(prompt_learning, 'TOKENS_AT_ONCE', 64)
    assert kept(64) < few


def test_the_tower_stays_frozen():
    text = tower()
    prompts = PromptTower(text, CLASSES, 2)
    prompts.embed(torch.randn(1, 2, 32, requires_grad=True)).sum().backward()
    assert all(p.grad is None for p in text.tower.parameters())
    before = text.encode(PROMPTS)
    prompts.embed(torch.randn(1, 2, 32))
    torch.testing.assert_close(text.encode(PROMPTS), before)  # nothing is left exchanged


@pytest.mark.parametrize(
    ('length', 'position', 'code'),
    [(21, 'end', 'text.context_too_long'), (4, 'start', 'config.unknown_value')],
)
def test_contexts_that_do_not_work(length, position, code):
    with refused(code):
        PromptTower(tower(), CLASSES, length, position)


def test_words_of_another_length():
    with refused('text.context_words'):
        PromptTower(tower(), CLASSES, 3).context_of('a photo of a', 3)


def test_slots_are_where_the_context_is():
    _, slots = context_slots(tower(), ['tie', 'a red hat'], 3, 'middle')
    assert slots.tolist() == [[1, 3, 4], [1, 5, 6]]


def test_a_hugging_face_tower(tmp_path):
    size = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    BertConfig(vocab_size=30, **size).save_pretrained(tmp_path)
    text = tower()
    text.tower = HFTextEncoder(
        str(tmp_path), 8, pretrained=False, pooler_type='mean_pooler', proj_type='linear'
    )
    with refused('text.no_token_embeddings'):
        PromptTower(text, CLASSES, 4)
