"""Asking, as describe.py does it: one run or a round of several, and what is said of it."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mmengine.config import Config

from ..describe import describers
from ..describe.images import ConfigImages
from ..describe.loading import Task
from ..describe.run import Run
from ..describe.summary import projection, tokens
from ..describe.tally import Tally
from ..descriptions.store import DescriptionStore, DescriptionWriter
from ..errors import InputError
from ..io.printing import plain
from ..progress import Progress, duration
from .describe_budget import chosen, describe_until
from .describe_limits import build, hashes_of, kept_of, limits_of, named, print_hints


class Spent(Exception):
    """A limit is reached between two rounds."""


def describe(args: Namespace, config: Config, images: ConfigImages, out: Path, prompt: str) -> int:
    """Describe the images chosen; gives the number of those that failed.

    Raises:
        InputError: All of them failed.
    """
    describer = build(args, prompt)
    tasks = wanted = chosen(args, config, images)
    if args.preview:
        step = max(len(wanted) // args.preview, 1)
        tasks = [wanted[i] for i in range(0, len(wanted), step)][: args.preview]
    tally, seconds = _ask(args, describer, tasks, images.classes, out, prompt)
    _check(tally)
    if args.preview:
        _print_preview(tasks, out, prompt)
        at_once, limit = describer.concurrency, args.requests_per_minute
        print(projection(tally, len(wanted), at_once, limit, args.price))
    else:
        shared = f', {tally.shared} share the replies of others' if tally.shared else ''
        print(f'{tally.asked} images asked about, {tally.kept} had been{shared}; {out}')
        if tally.asked:
            print(f'took {duration(seconds)}, {tokens(tally, price=args.price)}')
    print_hints(tally, len(tasks))
    return tally.statuses['error']


def describe_in_rounds(
    args: Namespace, config: Config, images: ConfigImages, out: Path, prompt: str
) -> int:
    """Describe until class means are known well; gives the number of images that failed."""
    total = Tally()
    try:
        describe_until(args, config, images, _asker(args, images, out, prompt, total), out, prompt)
    except Spent as limit:
        print(f'stopped at {limit}; the same command goes on')
    if total.asked:
        print(f'took {tokens(total, price=args.price)}')
    print_hints(total, 0)
    return total.statuses['error']


def _asker(
    args: Namespace, images: ConfigImages, out: Path, prompt: str, total: Tally
) -> Callable[[list[Task]], None]:
    """Asks about some tasks after the other; a model on this machine stays loaded."""
    loaded: list[describers.Describer] = []

    def ask(tasks: list[Task]) -> None:
        describer = loaded.pop() if loaded else build(args, prompt)
        tally, _ = _ask(args, describer, tasks, images.classes, out, prompt, total)
        total.include(tally)
        if tally.spent:
            raise Spent(tally.spent)
        _check(total)  # later, a few broken images are no reason to stop
        if args.describer != 'openai':  # whose connections end with the event loop of a run
            loaded.append(describer)

    return ask


def _ask(
    args: Namespace,
    describer: describers.Describer,
    tasks: Sequence[Task],
    classes: Sequence[str],
    out: Path,
    prompt: str,
    earlier: Tally | None = None,
) -> tuple[Tally, float]:
    """Describe the tasks that need it; the tally, and the seconds that it took."""
    describer, load = named(describer, tasks, classes, prompt)
    with DescriptionWriter(out) as writer:
        kept = kept_of(args, describer, prompt, out)
        with Progress('images', len(tasks)) as bar:
            run = Run(
                describer,
                writer,
                kept,
                prompt,
                args.count,
                args.retries,
                report=partial(_show, bar),
                load=load,
                limits=limits_of(args),
                earlier=earlier,
                hashes=hashes_of(args, out),
            )
            return run(tasks), bar.seconds


def _check(tally: Tally) -> None:
    """Raise InputError where every image that was asked about failed, and none is described."""
    failed = tally.statuses['error']
    if failed and failed == tally.asked and not tally.kept + tally.shared:
        raise InputError(
            f'none of {failed} images could be described; the last error: {tally.last_error}. '
            'Records of errors are kept, and the same command asks again'
        )


def _print_preview(tasks: Sequence[Task], out: Path, prompt: str) -> None:
    store = DescriptionStore(out)
    for task in tasks:
        record = store.record(task.image, prompt)
        if record is None:  # the budget of tokens ended before it
            continue
        print(plain(f'{task.image}: {record["status"]} {record.get("error", "")}'))
        for number, item in enumerate(record['descriptions'], 1):
            print(plain(f'  {number}. {item}'))


def _show(bar: Progress, tally: Tally) -> None:
    """Images done, images and tokens a second, counts by status."""
    rates = (
        f'{tally.asked / bar.seconds:.1f} images/s {tally.tokens_out / bar.seconds:.0f} tokens/s'
    )
    counts = ' '.join(f'{count} {name}' for name, count in tally.statuses.items() if count)
    bar.advance(tally.asked + tally.kept + tally.shared - bar.done, f'{rates} {counts}')
