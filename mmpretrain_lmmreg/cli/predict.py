"""Classify images.

    mmpretrain-lmmreg predict FOLDER IMAGE...              a folder that fit or export has made
    mmpretrain-lmmreg predict CONFIG CHECKPOINT IMAGE...   a run of train

The command prints the likeliest classes of each image. Where the checkpoint has class means, it
also prints the Euclidean distance of the embedding to the nearest one. Before you use this
distance to reject unknown images, validate it on images with known labels. Unreadable images are
named and skipped; the exit code is then 1.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import add_on
from ..describe.describers import NAMES, missing_endpoint
from ..errors import InputError
from ..io.printing import plain, plain_json
from .options import check_describer, command_parser, positive, price, whole

if TYPE_CHECKING:
    from ..deploy.on_demand import Asked, Request
    from ..deploy.predict import Prediction


def parser() -> ArgumentParser:
    """The command's options."""
    p = command_parser(__doc__, "mmpretrain-lmmreg predict fitted IMAGE 'holiday/*.jpg' --topk 3")
    classifier = 'the folder, or the config of the training run and a checkpoint of that run'
    p.add_argument('classifier', metavar='FOLDER | CONFIG CHECKPOINT', help=classifier)
    p.add_argument('images', nargs='+', metavar='IMAGE', help='images, folders or quoted patterns')
    add_on(p)
    add = p.add_argument_group('output').add_argument
    add('--topk', type=whole(1), default=5, metavar='N', help='show the N likeliest classes (5)')
    coverage = (
        'show the smallest set of classes that holds the right one for this share of images like '
        'the training images (only with a folder of fit)'
    )
    add('--coverage', type=float, metavar='C', help=coverage)
    explain = 'also show the N closest descriptions of training images (an export has none)'
    add('--explain', type=whole(0), default=0, metavar='N', help=explain)
    add('--json', action='store_true', help='print JSON instead of a table')
    add = p.add_argument_group('describe unsure images (describe_on_demand)').add_argument
    add('--describer', choices=NAMES, help='kind of model to ask; without it, only --store is read')
    add('--lmm', default='', metavar='NAME', help='name of the model')
    add('--budget', type=float, default=0.2, metavar='X', help='share of images to describe (0.2)')
    target = 'take the smallest share that reached this accuracy on held-out training images'
    add('--target-accuracy', type=float, metavar='X', help=target)
    calibrate = (
        'first spend N requests of the budget on training images, which say how much descriptions '
        'are worth (default N: five a class, at least 30)'
    )
    add('--calibrate', nargs='?', type=whole(1), const=0, metavar='N', help=calibrate)
    add('--price', type=price, metavar='IN,OUT', help='price of a million tokens')
    add('--max-cost', type=positive, metavar='X', help='stop before it costs more; needs --price')
    add('--store', metavar='FILE', help='file of the answers (asked.jsonl)')
    return p


def run(args: Namespace) -> int:
    """Carry the command out; returns 1 where a picture could not be read, else 0."""
    from ..deploy.classifier import load_classifier
    from ..deploy.explain import Explainer
    from ..deploy.predict import find_pictures, predict
    from .runner import quiet_log

    quiet_log()
    request = _request(args)
    if Path(args.classifier).is_dir():
        return _with_folder(args, request)
    if args.coverage is not None or len(args.images) < 2:
        raise InputError(
            f'{args.classifier}: give a config, its checkpoint and images, or a folder that fit or '
            'export has made (--coverage needs the folder of a fit)',
            code='deploy.no_classifier',
        )
    checkpoint, *images = args.images
    paths = find_pictures(images)
    classifier = load_classifier(args.classifier, checkpoint, args.on)
    broken: dict[str, str] = {}
    if request:
        from ..deploy.on_demand import calibrate, describe_unsure, reader_of

        if args.calibrate is not None:
            request = calibrate(classifier, args.calibrate, request)
        reader, embed = reader_of(classifier)
        results = predict(classifier, paths, broken, len(classifier.classes))
        sources = {path: path for path in paths}
        asked = describe_unsure(results, sources, classifier.classes, reader, embed, request)
        _say(asked, results, args.topk)
    else:
        explainer = Explainer(classifier) if args.explain else None
        results = predict(classifier, paths, broken, args.topk, explainer, args.explain)
    return _report(args, results, broken)


def _with_folder(args: Namespace, request: Request | None) -> int:
    from ..deploy.api import load
    from ..deploy.predict import find_pictures

    if args.calibrate is not None:
        raise InputError(
            '--calibrate needs the training images: give CONFIG and CHECKPOINT of the run, or fit '
            'with --describer',
            code='deploy.not_calibrated',
        )
    classifier = load(args.classifier)
    broken: dict[str, str] = {}
    paths = find_pictures(args.images)
    if request:
        results, asked = classifier.describe_unsure(paths, request, args.topk, broken=broken)
        _say(asked, results, args.topk)
        return _report(args, results, broken)
    results = classifier.predict(paths, args.topk, args.coverage, broken=broken)
    for result in results if args.explain else []:
        result['descriptions'] = classifier.explain(result['image'], args.explain)
    if args.coverage and classifier.too_few(args.coverage):
        print('too few training images for this coverage: each set is all classes', file=sys.stderr)
    return _report(args, results, broken)


def _report(args: Namespace, results: list[Prediction], broken: dict[str, str]) -> int:
    """Print results, and what was skipped; the exit code is 1 where something was."""
    if args.json:
        print(plain_json(results, 1))
    elif results:
        _show(results)
    for path, reason in broken.items():
        print(plain(f'skipped {path}: {reason}'), file=sys.stderr)
    return 1 if broken else 0


def _say(asked: Asked, results: list[Prediction], topk: int) -> None:
    print(asked, file=sys.stderr)
    for result in results:
        result['predictions'] = result['predictions'][:topk]


def _request(args: Namespace) -> Request | None:
    """Who is asked about how many images; None where nobody is and no answers are kept."""
    from ..deploy.on_demand import Request
    from ..describe.plan import DescribePlan

    if not args.describer and not args.store:
        check_describer(args, 'lmm', 'target_accuracy', 'calibrate', 'price', 'max_cost')
        return None
    if args.describer and (missing := missing_endpoint(args.describer)):
        raise InputError(missing, code='describe.no_key')
    if args.explain or args.coverage is not None:
        raise InputError(
            '--explain, --coverage and describing on demand cannot be combined: choose one',
            code='config.bad_option',
        )
    limits = dict(max_cost=args.max_cost, price=args.price)
    plan = DescribePlan(args.describer, args.lmm, **limits) if args.describer else None
    return Request(plan, args.store or 'asked.jsonl', args.budget, args.target_accuracy)


def _show(results: Sequence[Prediction]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table('image', 'class', 'probability')
    table.columns[0].overflow = 'fold'
    if 'distance' in results[0]:
        table.add_column('distance to the nearest class mean')
    if 'set' in results[0]:
        table.add_column('set of classes')
    asked = any('description' in result for result in results)
    if asked:
        table.add_column('description that was read')
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
        if 'set' in result:
            cells.append('\n'.join(result['set']) or '(none of these)')
        if asked:
            cells.append(result.get('description', '(image alone)'))
        if 'descriptions' in result:
            texts = (f'{d["text"]} ({", ".join(d["classes"])})' for d in result['descriptions'])
            cells.append('\n'.join(texts))
        table.add_row(*(escape(plain(cell)) for cell in cells), end_section=True)
    console = Console(width=None if sys.stdout.isatty() else 10_000)  # a file is never wrapped
    console.print(table)


def main() -> None:
    """Classify pictures; the exit code is 1 where one could not be read."""
    sys.exit(run(parser().parse_args()))
