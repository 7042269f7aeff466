"""What describe.py sends, how fast and how much, and batch files."""

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from ..describe import batch, describers
from ..describe.hashes import Hashes
from ..describe.kept import Kept, settings_of
from ..describe.loading import Loaded, Task, load_image
from ..describe.named import NamedDescriber
from ..describe.progress import Progress
from ..describe.summary import tokens
from ..describe.tally import Limit, Tally
from ..descriptions.samples import names_class
from ..descriptions.store import DescriptionWriter
from ..errors import InputError
from ..io.files import cache_dir, digest


def build(args: Namespace, prompt: str, **more: object) -> describers.Describer:
    """The describer that the options name."""
    names = ('batch_size', 'concurrency', 'max_pixels', 'requests_per_minute')
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    return describers.build_describer(
        args.describer,
        args.options,
        model=args.model,
        prompt=prompt,
        retries=args.retries,
        count=args.count,
        **given,
        **more,
    )


def named(
    describer: describers.Describer, tasks: Sequence[Task], classes: Sequence[str], prompt: str
) -> tuple[describers.Describer, Callable[..., Loaded]]:
    """The describer for a prompt that may name the class, and what loads an image for it."""
    if not names_class(prompt):
        return describer, load_image
    naming = NamedDescriber(describer, tasks, classes)
    return naming, naming.load


def limits_of(args: Namespace) -> list[Limit]:
    """What the run may take; raises InputError for a cost without a price."""
    limits = []
    if args.max_tokens_total:
        limits.append(Limit('--max-tokens-total', args.max_tokens_total))
    if args.max_cost:
        if not args.price or not any(args.price):
            raise InputError('--max-cost needs what a million tokens cost: --price 0.15,0.60, say')
        limits.append(Limit('--max-cost', 1e6 * args.max_cost, args.price))
    return limits


def hashes_of(args: Namespace, out: Path) -> Hashes:
    """Contents of images as an earlier run into the same file read them."""
    if args.preview:
        return Hashes()
    return Hashes(cache_dir('images') / f'{digest(os.path.abspath(out))}.hashes')


def kept_of(args: Namespace, describer: describers.Describer, prompt: str, out: Path) -> Progress:
    """What a file holds; raises InputError where it is another model's and not to be replaced."""
    kept = Progress(prompt, describer.model, settings_of(describer), out)
    if (others := +kept.others) and not args.replace:
        raise InputError(
            f'{out} holds replies to this prompt of another model '
            f'({", ".join(f"{count} of {name}" for name, count in others.most_common())}): '
            f'--replace asks {describer.model} about the same images, and its replies count where '
            'they are as good; or give it a file of its own (--out)'
        )
    return kept


def print_hints(tally: Tally, images: int) -> None:
    """What is left, and what to do about it."""
    if tally.spent:
        left = images - tally.asked - tally.kept - tally.shared
        print(f'stopped at {tally.spent}; {left} images left, the same command goes on')
    if tally.cut:
        print(
            f'{tally.cut} replies were cut off by the token limit: a higher --options '
            'max_new_tokens=NUMBER (or max_completion_tokens, where that is given) asks anew'
        )
    if failed := tally.statuses['error']:
        print(
            f'{failed} images could not be described, the same command asks again; the last: '
            f'{tally.last_error}',
            file=sys.stderr,
        )


def run_batch(
    args: Namespace, tasks: Sequence[Task], classes: Sequence[str], out: Path, prompt: str
) -> int:
    """Write a batch's requests or keep its answers; gives the number of those that failed."""
    if args.describer != 'openai':
        raise InputError('batch files are for --describer openai')
    describer, load = named(build(args, prompt, offline=True), tasks, classes, prompt)
    with DescriptionWriter(out) as writer:
        kept = kept_of(args, describer, prompt, out)
        hashes = hashes_of(args, out)
        ask = Kept(
            describer, writer, kept, prompt, args.count, args.retries, load=load, hashes=hashes
        )
        if args.batch_write:
            for file, count in batch.write(ask, tasks, args.batch_write):
                print(f'{count} requests in {file}')
        else:
            read, skipped = batch.read(ask, tasks, args.batch_read)
            print(f'{read} answers kept in {out}, {skipped} were of no use')
            print(tokens(ask.tally, price=args.price))
    hashes.save()
    print_hints(ask.tally, 0)
    return ask.tally.statuses['error']
