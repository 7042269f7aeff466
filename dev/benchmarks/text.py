"""The text tower beside open_clip's ``encode_text`` on real descriptions."""

import open_clip
import torch

from mmpretrain_lmmreg.clip.model import build_open_clip, build_text
from mmpretrain_lmmreg.clip.text_tower import TextTower
from mmpretrain_lmmreg.datasets.bar import BAR_REPLIES
from mmpretrain_lmmreg.descriptions.store import DescriptionStore

from .measure import Row, in_turns

TOLERANCE = 1e-5  # of a text's embedding, relative to its length; bfloat16 is a thousand times off


def bar_descriptions() -> list[str]:
    """The 4,800 descriptions of BAR's images that the package carries."""
    store = DescriptionStore(BAR_REPLIES)
    return [text for record in store for text in store.get(record['image']) or ()]


def text_row(model_name: str, texts: list[str], repeats: int = 3, rival_texts: int = 64) -> Row:
    """``text_vs_open_clip``, with random weights.

    open_clip runs in float32, its only precision with equal results, on some of the texts: its
    speed is that of any others, since it pads all of them.
    """
    model = build_open_clip(model_name)
    tokenizer = open_clip.get_tokenizer(model_name)
    text = build_text(model_name)
    text.load_state_dict({name: model.state_dict()[name] for name in text.state_dict()})
    tower = TextTower.from_module(text, tokenizer)
    few = texts[:: max(1, len(texts) // rival_texts)][:rival_texts]

    def encode_text() -> torch.Tensor:
        with torch.no_grad():
            return model.encode_text(tokenizer(few))

    expected = encode_text()
    difference = (tower.encode(few) - expected).norm(dim=1) / expected.norm(dim=1)
    tasks = {'ours': lambda: tower.encode(texts), 'rival': encode_text}
    seconds = in_turns(tasks, repeats, warm_up=False)
    ours, rival = len(texts) / seconds['ours'], len(few) / seconds['rival']
    largest = difference.max().item()
    return Row(
        'text_vs_open_clip',
        f'{model_name} text tower, texts/s on {len(texts)} descriptions, beside encode_text fp32',
        ours,
        rival,
        ours / rival,
        6,
        {f'largest relative difference {largest:.0e} ≤ {TOLERANCE:.0e}': largest <= TOLERANCE},
    )
