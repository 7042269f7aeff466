"""Long-CLIP's files, and text towers stretched like its, against its arithmetic."""

import json

import open_clip
import pytest
import torch
from refused import refused

from mmpretrain_lmmreg.clip.long_text import stretch
from mmpretrain_lmmreg.clip.model import load_open_clip, load_visual
from mmpretrain_lmmreg.clip.text_tower import TextTower

WIDTH, HEADS, LAYERS, D = 32, 2, 2, 16
VISION = dict(image_size=16, layers=1, width=16, patch_size=8, head_width=8)
TEXT = dict(context_length=77, vocab_size=49408, width=WIDTH, heads=HEADS, layers=LAYERS)
TEXTS = ['diving', 'a man climbs a steep rock above the sea', 'word ' * 60, '']
LONG = 'a man climbs a steep rock ' * 30


def model(tmp_path, quick_gelu=True, **text):
    config = dict(embed_dim=D, vision_cfg=VISION, text_cfg={**TEXT, **text}, quick_gelu=quick_gelu)
    (tmp_path / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=config)))
    return f'local-dir:{tmp_path}'


@pytest.fixture
def state():
    """A released file's form: 248 positions twice, of which each is used in part."""
    torch.manual_seed(0)
    made = open_clip.CLIP(D, VISION, TEXT, quick_gelu=True).state_dict()
    state = {name: torch.randn_like(tensor) * 0.3 for name, tensor in made.items()}
    state.pop('attn_mask', None)
    state['positional_embedding'] = torch.randn(248, WIDTH)
    state['positional_embedding_res'] = torch.randn(248, WIDTH)
    return state


def test_embeds_as_long_clip_does(tmp_path, state):
    torch.save(state, tmp_path / 'longclip.pt')
    name = model(tmp_path)
    first = (torch.arange(248) < 20)[:, None].float()  # its model masks both and sums them
    stretched = state.pop('positional_embedding_res')
    state['positional_embedding'] = state['positional_embedding'] * first + stretched * (1 - first)
    theirs = open_clip.CLIP(D, VISION, {**TEXT, 'context_length': 248}, quick_gelu=True).eval()
    theirs.load_state_dict(state)
    texts = [*TEXTS, LONG[:400]]
    tokens = open_clip.SimpleTokenizer(context_length=248)(texts)
    assert (tokens[-1] > 0).sum() > 77
    tower = TextTower(name, tmp_path / 'longclip.pt')
    with torch.no_grad():
        expected = theirs.encode_text(tokens)
    torch.testing.assert_close(tower.encode(texts), expected, rtol=1e-5, atol=1e-5)
    assert tower.count_cut([*texts, 'word ' * 250]) == 1
    whole = load_open_clip(name, tmp_path / 'longclip.pt').state_dict()
    assert all(torch.equal(tensor, whole[key]) for key, tensor in state.items())
    visual = load_visual(name, tmp_path / 'longclip.pt')
    assert torch.equal(visual.proj, state['visual.proj'])


def test_long_clip_needs_quick_gelu(tmp_path, state):
    torch.save(state, tmp_path / 'longclip.pt')
    with refused('clip.other_activation', match='Long-CLIP'):
        TextTower(model(tmp_path, quick_gelu=False), tmp_path / 'longclip.pt')


def test_stretch_is_long_clips():
    """77 -> 248 in quarters, and the last three go on as from the last but one to the last."""
    old = torch.randn(77, 5, generator=torch.Generator().manual_seed(0))
    new = stretch(old, 248)
    assert new.shape == (248, 5) and torch.equal(new[:20], old[:20])
    for i in range(20, 77):
        step = old[min(i, 75) + 1] - old[min(i, 75)]
        for quarter in range(4):
            expected = old[i] + quarter / 4 * step
            torch.testing.assert_close(new[20 + 4 * (i - 20) + quarter], expected)
    assert torch.equal(stretch(old, 77), old)


def test_a_stretched_tower_reads_on(tmp_path):
    torch.manual_seed(0)
    made = {
        n: 0.3 * torch.randn_like(t)
        for n, t in open_clip.CLIP(D, VISION, TEXT).state_dict().items()
    }
    torch.save(made, tmp_path / 'clip.pt')
    name = model(tmp_path, quick_gelu=False)
    plain, long = (
        TextTower(name, tmp_path / 'clip.pt', text_context=context) for context in (None, 248)
    )
    assert plain.tokenizer(['a']).shape == (1, 77) and long.tokenizer(['a']).shape == (1, 248)
    assert plain.count_cut([LONG[:600]]) == 1 and long.count_cut([LONG[:600]]) == 0
    short = ['a man climbs a rock']  # within the positions that are kept
    torch.testing.assert_close(plain.encode(short), long.encode(short), rtol=1e-5, atol=1e-5)
    ends = [LONG[:600] + 'diving', LONG[:600] + 'fishing']
    assert torch.equal(*plain.encode(ends)) and not torch.equal(*long.encode(ends))
    assert plain.fingerprint != long.fingerprint


@pytest.mark.parametrize('context', [60, 0])
def test_no_shorter(tmp_path, context):
    torch.save(open_clip.CLIP(D, VISION, TEXT).state_dict(), tmp_path / 'clip.pt')
    name = model(tmp_path, quick_gelu=False)
    with refused('clip.text_context'):
        TextTower(name, tmp_path / 'clip.pt', text_context=context)
