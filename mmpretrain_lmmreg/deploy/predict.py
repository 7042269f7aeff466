"""What ``tools/predict.py`` does."""

import json
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from ..config import add_on
from ..errors import InputError
from ..progress import track
from .classifier import Classifier, load_classifier, quiet_log
from .explain import Explainer
from .pictures import BATCH, find_pictures, read_batches

Prediction = dict[str, object]


def parser(doc: str | None) -> ArgumentParser:
    """The command's options."""
    p = ArgumentParser(description=doc, formatter_class=RawDescriptionHelpFormatter)
    p.add_argument('config', help='the config that the checkpoint was trained with')
    p.add_argument('checkpoint', help='a checkpoint of tools/train.py')
    p.add_argument('images', nargs='+', metavar='IMAGE', help='pictures, folders or patterns')
    p.add_argument('--topk', type=int, default=5, help='classes shown for each picture (5)')
    p.add_argument('--json', action='store_true', help='print JSON instead of a table')
    p.add_argument(
        '--explain',
        type=int,
        default=0,
        metavar='N',
        help='also show the N closest descriptions of training images',
    )
    add_on(p)
    return p


def run(args: Namespace) -> int:
    """Carry the command out; returns 1 where a picture could not be read, else 0."""
    if args.topk < 1 or args.explain < 0:
        raise InputError('--topk must be 1 or more, and --explain 0 or more')
    quiet_log()
    paths = find_pictures(args.images)
    classifier = load_classifier(args.config, args.checkpoint, args.on)
    explainer = Explainer(classifier) if args.explain else None
    broken: dict[str, str] = {}
    results = list(predict(classifier, paths, broken, args.topk, explainer, args.explain))
    if args.json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
    elif results:
        _show(results)
    for path, reason in broken.items():
        print(f'skipped {path}: {reason}', file=sys.stderr)
    return 1 if broken else 0


def predict(
    classifier: Classifier,
    paths: Sequence[str],
    broken: dict[str, str],
    topk: int = 5,
    explainer: Explainer | None = None,
    explanations: int = 0,
) -> Iterator[Prediction]:
    """Classify pictures; ``broken`` receives those that cannot be read, and why.

    A prediction has ``image`` (its path), ``predictions`` (``topk`` of ``class`` and
    ``probability``, the likeliest first), and where the checkpoint has class means ``distance``,
    the Euclidean distance of the embedding to the nearest of them, and its class
    ``nearest_mean``. With an ``explainer`` also ``descriptions``.
    """
    means = classifier.class_means
    workers = classifier.cfg.test_dataloader.get('num_workers', 0)
    batches = read_batches(paths, classifier.read, workers)
    for batch in track(batches, 'batches of pictures', -(-len(paths) // BATCH)):
        broken.update((path, reason) for path, reason in batch if isinstance(reason, str))
        good = [(path, picture) for path, picture in batch if not isinstance(picture, str)]
        if not good:
            continue
        embeddings, probabilities = classifier([picture for _, picture in good])
        rows = zip(good, embeddings, probabilities, strict=True)
        for (path, _), embedding, row in rows:
            result = dict(image=path, predictions=_top(row, topk, classifier.classes))
            if means is not None:
                result |= _nearest(embedding, means, classifier.classes)
            if explainer is not None:
                result['descriptions'] = explainer.closest(embedding, explanations)
            yield result


def _top(probabilities: Tensor, topk: int, classes: Sequence[str]) -> list[Prediction]:
    best = probabilities.topk(min(topk, len(classes)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [{'class': classes[label], 'probability': value} for label, value in pairs]


def _nearest(embedding: Tensor, means: Tensor, classes: Sequence[str]) -> Prediction:
    distance, label = torch.linalg.vector_norm(means - embedding, dim=1).min(dim=0)
    return dict(distance=distance.item(), nearest_mean=classes[label])


def _show(results: Sequence[Prediction]) -> None:
    table = Table('picture', 'class', 'probability')
    table.columns[0].overflow = 'fold'
    if 'distance' in results[0]:
        table.add_column('distance to the nearest class mean')
    if 'descriptions' in results[0]:
        table.add_column('closest training descriptions')
    for result in results:
        top = result['predictions']
        cells = [
            result['image'],
            '\n'.join(p['class'] for p in top),
            '\n'.join(f'{p["probability"]:.1%}' for p in top),
        ]
        if 'distance' in result:
            cells.append(f'{result["distance"]:.3g} ({result["nearest_mean"]})')
        if 'descriptions' in result:
            texts = (f'{d["text"]} ({", ".join(d["classes"])})' for d in result['descriptions'])
            cells.append('\n'.join(texts))
        table.add_row(*map(escape, cells), end_section=True)
    console = Console(width=None if sys.stdout.isatty() else 10_000)  # a file is never wrapped
    console.print(table)
