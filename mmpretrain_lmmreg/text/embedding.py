"""Embeddings of texts: from disk where they are, each text once, shared by all processes."""

import logging
from collections import Counter
from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce, barrier, get_dist_info
from mmengine.logging import print_log
from torch import Tensor

from ..clip.text_tower import TextTower
from ..errors import InputError
from ..io.files import digest
from ..io.table import StoredRows, VectorTable, not_finite
from .class_means import class_means, sums_by_class

CHUNK = 4096  # texts that are kept on disk at a time
LONG = 1000  # characters: a chunk's names are at most 100 MB, for safetensors


def embed_class_means(
    texts: list[str], counts: list[Counter], tower: TextTower, normalize: bool, classes=None
) -> Tensor:
    """Eq. 1 over all processes, (N_c, D) float32; each process embeds its share of the texts."""
    rank, world = get_dist_info()
    embeddings = embeddings_of(texts[rank::world], tower)
    if world > 1:
        counts = [
            Counter({i // world: n for i, n in c.items() if i % world == rank}) for c in counts
        ]
    sums, totals = sums_by_class(embeddings, counts, normalize)
    all_reduce(sums)
    all_reduce(totals)
    return class_means(sums, totals, classes)


def embed(texts: list[str], tower: TextTower) -> Tensor:
    """As :func:`embeddings_of`, all in memory."""
    rows = embeddings_of(texts, tower)
    return rows if isinstance(rows, Tensor) else rows.in_memory()


def embeddings_of(texts: list[str], tower: TextTower) -> Tensor | StoredRows:
    """Embeddings (N, D) of unique texts, from disk where an earlier run has left them.

    They stay on disk where they take more than a GiB.

    The last bits of an embedding depend on the texts that run with it. So it is kept together with
    the name of its chunk, whose texts follow from ``texts`` alone, and is used for no other one.
    """
    table = VectorTable('text', dict(kind='text embeddings', tower=tower.fingerprint))
    # like lengths together, so that little padding is computed
    ordered = sorted(texts, key=lambda text: (len(text), text))
    chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
    keys = {text: f'{name}\t{_named(text)}' for c in chunks for name in [digest(c)] for text in c}
    todo = [chunk for chunk in chunks if table.missing([keys[text] for text in chunk])]
    missing = sum(map(len, todo))
    cut = sum(map(tower.count_cut, todo))
    if cut:
        print_log(
            f'{cut} of {missing} texts are longer than the text tower reads and are cut',
            'current',
            level=logging.WARNING,
        )
    for chunk in todo:
        rows = tower.encode(chunk)
        if wrong := not_finite(rows):
            raise InputError(
                f"the embedding of {chunk[wrong[0]][:LONG]!r} is not finite: the text tower's "
                'weights are damaged',
                code='text.not_finite',
            )
        table.add([keys[text] for text in chunk], rows)
    print_log(
        f'{missing} texts embedded, {len(texts) - missing} found in {table.folder}', 'current'
    )
    if not texts:
        return torch.zeros(0, tower.dim)
    return table.stored([keys[text] for text in texts]).if_small()


def _named(text: str) -> str:
    return text if len(text) <= LONG else digest(text)


def embed_together(texts: list[str], tower: TextTower) -> Tensor:
    """As :func:`embed`, for processes that all want the same texts: each computes its share."""
    rank, world = get_dist_info()
    embed(texts[rank::world], tower)
    barrier()
    parts = [embed(texts[start::world], tower) for start in range(world)]
    embeddings = torch.empty(len(texts), parts[0].shape[1])
    for start, rows in enumerate(parts):
        embeddings[start::world] = rows
    return embeddings


def embed_lists(lists: Sequence[Sequence[str]], tower: TextTower) -> list[Tensor]:
    """Embeddings of each list's S texts, (S, D), computed once and kept on disk."""
    texts = list(dict.fromkeys(text for each in lists for text in each))
    embeddings, row = embed_together(texts, tower), {text: i for i, text in enumerate(texts)}
    return [embeddings[[row[text] for text in each]] for each in lists]
