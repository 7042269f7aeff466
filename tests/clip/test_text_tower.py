"""The text tower gives what open_clip's encode_text gives, on fewer positions."""

import json
import sys

import open_clip
import pytest
import torch
from refused import refused
from transformers import BertConfig, BertTokenizerFast

from mmpretrain_lmmreg.clip import text_tower
from mmpretrain_lmmreg.clip.model import build_open_clip, build_text
from mmpretrain_lmmreg.clip.packing import is_causal, pack_texts
from mmpretrain_lmmreg.clip.text_tower import TextTower

TEXTS = [
    'a man climbing a rock',
    'a man climbing a steep rock above the sea, seen from below',
    'diving',
    'A man climbing a rock',
    'a man fishing',
    'diving',
    '',
    'word ' * 60,
]
VISION = dict(image_size=16, layers=1, width=16, patch_size=8, head_width=8)
TEXT = dict(context_length=24, vocab_size=49408, width=32, heads=4, layers=2)
BERT = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
EOT = 49407


def tiny(model=open_clip.CustomTextCLIP, quick_gelu=False, **text):
    torch.manual_seed(0)
    built = model(16, VISION, {**TEXT, **text}, quick_gelu=quick_gelu).eval()
    for parameter in built.parameters():  # at their initial scale, texts hardly differ
        torch.nn.init.normal_(parameter, std=0.3)
    return built


def wrap(model, tokenizer):
    """The text tower of a model; that of open_clip's plain CLIP lies in the model itself."""
    if hasattr(model, 'text'):
        return TextTower.from_module(model.text, tokenizer)
    activation = model.transformer.resblocks[0].mlp.gelu
    quick_gelu = isinstance(activation, open_clip.transformer.QuickGELU)
    text = tiny(quick_gelu=quick_gelu, no_causal_mask=model.attn_mask is None).text
    text.load_state_dict({name: model.state_dict()[name] for name in text.state_dict()})
    return TextTower.from_module(text, tokenizer)


@pytest.fixture
def bert(tmp_path):
    """A CustomTextCLIP with a Hugging Face BERT, and its tokenizer."""
    folder = tmp_path / 'bert'
    folder.mkdir()
    words = sorted({word for text in TEXTS for word in text.lower().replace(',', '').split()})
    vocabulary = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ',', *words]
    (folder / 'vocab.txt').write_text('\n'.join(vocabulary))
    BertConfig(vocab_size=len(vocabulary), **BERT).save_pretrained(folder)
    BertTokenizerFast(str(folder / 'vocab.txt')).save_pretrained(folder)
    torch.manual_seed(0)
    text = dict(hf_model_name=str(folder), hf_model_pretrained=False, hf_proj_type='linear')
    model = open_clip.CustomTextCLIP(16, VISION, {**text, 'hf_pooler_type': 'mean_pooler'})
    return model.eval(), open_clip.tokenizer.HFTokenizer(str(folder), context_length=24)


@pytest.fixture
def clip_tokenizer():
    return open_clip.SimpleTokenizer(context_length=24)


def relative_difference(ours, theirs):
    return ((ours - theirs).norm(dim=1) / theirs.norm(dim=1)).max().item()


def expected(model, tokenizer, texts=TEXTS):
    with torch.no_grad():
        return model.encode_text(tokenizer(texts))


@pytest.mark.parametrize(
    'make, trims',
    [
        (lambda: tiny(open_clip.CLIP), True),
        (lambda: tiny(open_clip.CLIP, quick_gelu=True), True),
        (lambda: tiny(), True),
        (lambda: tiny(pool_type='eos', eos_id=EOT, proj_bias=True), True),
        (lambda: tiny(proj_type='none', width=16), True),
        (lambda: tiny(qk_norm=True, scale_attn_inner=True), True),
        (lambda: tiny(no_causal_mask=True, pool_type='last'), False),
        (lambda: tiny(no_causal_mask=True), False),
        (lambda: tiny(open_clip.CLIP, no_causal_mask=True), False),
        (lambda: tiny(pool_type='last'), False),
        (lambda: tiny(embed_cls=True, output_tokens=True), False),
    ],
    ids=[
        *('clip', 'quick_gelu', 'custom', 'eos', 'no_projection', 'custom_block'),
        *('siglip', 'mobileclip', 'clip_both_ways', 'last', 'cls'),
    ],
)
def test_equals_encode_text(make, trims, clip_tokenizer, monkeypatch):
    model = make()
    tower = wrap(model, clip_tokenizer)
    assert is_causal(tower.tower) is trims
    reference = expected(model, clip_tokenizer)
    if isinstance(reference, tuple):
        reference = reference[0]
    monkeypatch.setattr(text_tower, 'BATCH', 3)
    embeddings = tower.encode(TEXTS)
    assert embeddings.shape == (len(TEXTS), tower.dim) and embeddings.dtype == torch.float32
    assert relative_difference(embeddings, reference) < 1e-5
    assert relative_difference(reference[:1], reference[1:2]) > 1e-2  # the texts do differ


@pytest.mark.parametrize('pooler', ['mean_pooler', 'cls_pooler'])
def test_equals_encode_text_of_hugging_face_tower(bert, pooler, monkeypatch):
    model, tokenizer = bert
    model.text.pooler = open_clip.hf_model._POOLERS[pooler]()
    tower = wrap(model, tokenizer)
    seen = []
    handle = model.text.transformer.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(tuple(kwargs['input_ids'].shape)),
        with_kwargs=True,
    )
    monkeypatch.setattr(text_tower, 'BATCH', 1)
    embeddings = tower.encode(TEXTS)
    handle.remove()
    assert seen[0] == (3, 5) and seen[-1] == (1, 24)  # short ones share a batch
    assert relative_difference(embeddings, expected(model, tokenizer)) < 1e-5


def test_left_padding_is_kept(bert):
    model, tokenizer = bert
    tokens = tokenizer(TEXTS).flip(1)
    tower = wrap(model, lambda texts, context_length=None: tokens[: len(texts)])
    unique = list(dict.fromkeys(TEXTS))
    with torch.no_grad():
        reference = model.encode_text(tokens[: len(unique)])
    assert relative_difference(tower.encode(unique), reference) < 1e-5


def test_packs_hold_shared_beginnings_once():
    rows = [[1, 2, 3], [1, 2, 4, 5], [1, 6], [7, 2]]
    (whole,) = pack_texts(rows, 100)
    assert whole.tokens == [1, 2, 3, 4, 5, 6, 7, 2]
    assert whole.positions == [0, 1, 2, 2, 3, 1, 0, 1]
    assert whole.ends == [2, 4, 5, 7]
    assert whole.visible()[4].nonzero()[0].tolist() == [0, 1, 3, 4]
    assert whole.visible()[7].nonzero()[0].tolist() == [6, 7]
    small = list(pack_texts(rows, 3))
    assert [pack.tokens for pack in small] == [[1, 2, 3], [1, 2, 4, 5], [1, 6], [7, 2]]
    assert list(pack_texts([], 3)) == []


def test_same_embedding_in_any_company(clip_tokenizer, monkeypatch):
    monkeypatch.setattr('mmpretrain_lmmreg.clip.text_tower.PACK_TOKENS', 30)
    tower = wrap(tiny(), clip_tokenizer)
    alone = torch.cat([tower.encode([text]) for text in TEXTS])
    assert relative_difference(tower.encode(TEXTS), alone) < 1e-5


def test_order_repeats_and_empty_input(clip_tokenizer):
    model = tiny()
    tower = wrap(model, clip_tokenizer)
    embeddings = tower.encode(TEXTS)
    assert torch.equal(embeddings[2], embeddings[5])
    assert tower.encode([]).shape == (0, 16)


def test_each_text_runs_once(clip_tokenizer, monkeypatch):
    model = tiny(no_causal_mask=True)
    tower = wrap(model, clip_tokenizer)
    rows = []
    model.text.register_forward_pre_hook(lambda module, args: rows.append(len(args[0])))
    monkeypatch.setattr(text_tower, 'BATCH', 4)
    tower.encode(TEXTS * 3)
    assert rows == [4, 3]


def test_frozen(clip_tokenizer):
    model = tiny().train()
    tower = wrap(model, clip_tokenizer)
    assert not model.text.training
    assert not any(parameter.requires_grad for parameter in model.text.parameters())
    assert not tower.encode(TEXTS).requires_grad


def test_count_cut(clip_tokenizer, bert):
    fits = 'word ' * 22  # 24 positions with start and end
    texts = [fits, 'word ' * 23, 'word ' * 23, 'diving', '']
    assert wrap(tiny(), clip_tokenizer).count_cut(texts) == 2
    assert wrap(*bert).count_cut(texts) == 2
    assert wrap(tiny(), clip_tokenizer).count_cut([]) == 0


def test_fingerprint_names_all_that_matters(clip_tokenizer):
    def fingerprint(tokenizer=clip_tokenizer, **options):
        return wrap(tiny(**options), tokenizer).fingerprint

    changed = tiny()
    changed.text.ln_final.bias.data[0] += 1e-3
    prints = [
        fingerprint(),
        fingerprint(quick_gelu=True),
        fingerprint(heads=2),
        fingerprint(no_causal_mask=True),
        fingerprint(pool_type='eos', eos_id=EOT),
        fingerprint(open_clip.SimpleTokenizer(context_length=23)),
        fingerprint(open_clip.SimpleTokenizer(context_length=24, clean='canonicalize')),
        wrap(changed, clip_tokenizer).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint() == prints[0]


@pytest.mark.slow
def test_vit_l_14_equals_encode_text():
    torch.manual_seed(0)
    model, text = build_open_clip('ViT-L-14-quickgelu'), build_text('ViT-L-14-quickgelu')
    text.load_state_dict({name: model.state_dict()[name] for name in text.state_dict()})
    model.visual = None
    tower = TextTower.from_module(text, open_clip.get_tokenizer('ViT-L-14-quickgelu'))
    assert relative_difference(tower.encode(TEXTS), expected(model, tower.tokenizer)) < 1e-5
    assert tower.dim == 768


def test_a_hugging_face_tower_without_transformers(tmp_path, monkeypatch):
    """open_clip then raises of its own; a newcomer is told what to install."""
    text = dict(hf_model_name='bert-base-uncased', hf_tokenizer_name='bert-base-uncased')
    vision = dict(image_size=16, layers=1, width=16, patch_size=8)
    config = dict(embed_dim=8, vision_cfg=vision, text_cfg=text)
    (tmp_path / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=config)))
    monkeypatch.setattr('open_clip.hf_model.transformers', None)
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with refused('clip.package_missing', match="pip install 'transformers"):
        build_text(f'local-dir:{tmp_path}')
