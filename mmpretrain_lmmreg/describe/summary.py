"""What a run will take, and what a descriptions file holds."""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from open_clip.tokenizer import SimpleTokenizer

from ..clip.model import read_no_further
from ..descriptions.store import DescriptionStore
from ..progress import duration
from .state import Tally
from .tasks import Task
from .text_quality import class_pattern

CONTEXT = 77  # tokens of CLIP's text tower, start and end included


def check_path(descriptions: Path) -> Path:
    """Where the figures of a descriptions file are kept: ``descriptions-check.json`` beside it."""
    return descriptions.with_name(f'{descriptions.stem}-check.json')


def summarize(
    tasks: Iterable[Task], store: DescriptionStore, prompt: str, classes: Sequence[str] = ()
) -> str:
    """What a descriptions file holds of some images, in lines."""
    n, models, hashes = Counter[str](), Counter[str](), array('Q')
    names = [class_pattern(name) for name in classes]
    for task in tasks:
        record = store.record(task.image, prompt)
        n.update(['images', record['status'] if record else 'missing'])
        if record and record['status'] != 'error' and record.get('model'):
            models[record['model']] += 1
        items = record['descriptions'] if record else []
        hashes.extend(hash(item.casefold()) & (2**64 - 1) for item in items)
        n['cut'] += sum(map(_is_cut, items))
        if task.label is not None and task.label < len(names):
            n['labelled'] += len(items)
            n['naming'] += sum(bool(names[task.label].search(item)) for item in items)
    failed = ', '.join(f'{n[name]} {name}' for name in ('refused', 'empty', 'error', 'missing'))
    share = f'{100 * n["naming"] / n["labelled"]:.1f} %' if n['labelled'] else 'unknown'
    whose = ', '.join(f'{count} of {name}' for name, count in models.most_common())
    return (
        f'images        {n["images"]}\n'
        f'described     {n["ok"] + n["long"]} ({n["long"]} with more than asked)\n'
        f'short         {n["short"] + n["truncated"]} ({n["truncated"]} broken off)\n'
        f'failed        {failed}\n'
        f'descriptions  {len(hashes)}\n'
        f'duplicates    {len(hashes) - len(np.unique(np.frombuffer(hashes, np.uint64)))}\n'
        f'class named   {share}\n'
        f'cut at {CONTEXT}     {n["cut"]}' + (f'\nreplies       {whose}' if whose else '')
    )


@cache
def _tokenizer() -> SimpleTokenizer:
    return read_no_further(SimpleTokenizer())


def _is_cut(text: str) -> bool:
    """Whether CLIP's text tower would not read a text to its end; a token takes at least a byte."""
    most = CONTEXT - 2
    size = len(text.encode(errors='surrogatepass'))
    return size > most and len(_tokenizer().encode(text)) > most


def projection(
    tally: Tally,
    images: int,
    concurrency: int,
    per_minute: float | None = None,
    price: tuple[float, float] | None = None,
) -> str:
    """What all images will take, judged by those that a preview asked about.

    Args:
        tally: Of the preview.
        images: All of them.
        concurrency: Calls of the describer at a time, each as long as those of the preview.
        per_minute: Requests that are sent in a minute, at most.
        price: Of a million tokens, in and out.
    """
    if not tally.asked:
        return 'nothing was asked: these images are described already'
    factor = images / tally.asked
    each = tally.busy / tally.asked
    seconds = images * each / min(concurrency, images)
    if per_minute:
        seconds = max(seconds, factor * max(tally.answers, tally.asked) * 60 / per_minute)
    return (
        f'{images} images: about {duration(seconds)} ({each:.1f} s an image, {concurrency} at a '
        f'time), {tokens(tally, factor, price)}'
    )


def tokens(tally: Tally, factor: float = 1, price: tuple[float, float] | None = None) -> str:
    """Tokens of a run, ``factor`` times, and what they cost; 'unknown' where nobody counted."""
    counted = tally.answers - tally.uncounted
    if not counted:
        return 'tokens unknown'
    factor *= tally.answers / counted
    numbers = factor * tally.tokens_in, factor * tally.tokens_out
    text = f'{numbers[0]:,.0f} tokens in, {numbers[1]:,.0f} out'
    if price is None:
        return text
    return f'{text}, cost {sum(n * p for n, p in zip(numbers, price, strict=True)) / 1e6:.2f}'
