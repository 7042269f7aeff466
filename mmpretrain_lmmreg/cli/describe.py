"""Ask a large multimodal model to describe the images of a config's data sets.

    python tools/describe.py CONFIG --describer openai --model NAME
    python tools/describe.py CONFIG --describer hf --model FOLDER
    python tools/describe.py CONFIG --describer minigpt4 --options llm=FOLDER checkpoint=FILE

Replies are kept as they come: after Ctrl-C the same command goes on. --preview 5 shows what to
expect and keeps nothing, unless --out names a file. Exit code 3: some images could not be
described.
"""

import sys
import tempfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from functools import partial
from pathlib import Path

from mmengine.config import Config

from ..config import add_on, load_config
from ..describe import describers
from ..describe.images import SPLITS, ConfigImages
from ..describe.merge import merge, reparse
from ..describe.run import Run, check_shard
from ..describe.summary import projection, summarize, tokens
from ..describe.tally import Tally
from ..descriptions.store import DescriptionStore, DescriptionWriter
from ..errors import InputError
from ..progress import Progress, duration
from .describe_limits import add_limit_options, build, kept_of, print_hints, run_batch
from .options import KeyValues, whole

KEPT = 'Replies are kept as they came; the same command goes on.'


def parser() -> ArgumentParser:
    """The command's options."""
    p = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    p.add_argument('config', help='training config whose images are described')
    p.add_argument('--describer', choices=describers.NAMES, help='who is asked')
    p.add_argument('--model', default='', help='its name, folder, or (minigpt4) config')
    p.add_argument('--split', choices=[*SPLITS, 'all'], default='train')
    p.add_argument('--out', type=Path, help="default: what the config's AttachDescriptions reads")
    p.add_argument('--prompt', help=f'default: {describers.PROMPT.format(10)!r}')
    p.add_argument('--count', type=whole(1), default=10, help='descriptions asked for (10)')
    p.add_argument('--concurrency', type=whole(1), help='requests at a time (openai: 8)')
    p.add_argument('--batch-size', type=whole(1), help='images at a time (hf: 8, minigpt4: 4)')
    p.add_argument('--retries', type=whole(0), default=3, help='of bad replies and of requests (3)')
    p.add_argument('--shard', default='1/1', metavar='i/n', help='a part of the images, 1/4 to 4/4')
    p.add_argument('--merge', nargs='+', type=Path, metavar='FILE', help='put files into --out')
    p.add_argument(
        '--preview',
        type=whole(1),
        metavar='N',
        help='describe N images, project the rest; keeps nothing without --out',
    )
    p.add_argument('--reparse', action='store_true', help='read the kept replies anew; ask nobody')
    p.add_argument('--clip', metavar='MODEL,WEIGHTS', help='judge the descriptions by a CLIP model')
    add_limit_options(p)
    p.add_argument(
        '--options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help="generation (max_new_tokens temperature top_p repetition_penalty) and the describer's "
        'own: ' + '; '.join(f'{name}: {own}' for name, own in describers.OPTIONS.items()),
    )
    add_on(p)
    return p


def run(args: Namespace) -> int:
    """Carry the command out and give its exit code; raises InputError for the user's mistakes."""
    config = load_config(args.config, args.on)
    images = ConfigImages(config, args.split, check_shard(args.shard))
    out = args.out or images.descriptions_file(config)
    prompt = args.prompt or describers.PROMPT.format(args.count)
    errors = 0
    if args.merge:
        added = merge(args.merge, out, args.reparse, args.count)
        print(f'{added} records added to {out}')
    elif args.reparse:
        added, worse = reparse(out, args.count)
        print(f'{added} replies read better now')
        if worse:
            print(f'{worse} read worse; for a file that says so: --reparse --merge {out} --out NEW')
    elif args.batch_write or args.batch_read:
        errors = run_batch(args, images, out, prompt)
    elif args.describer and args.preview and not args.out:
        with tempfile.TemporaryDirectory() as folder:  # half a file would make trouble in training
            errors = _describe(args, images, Path(folder, 'preview.jsonl'), prompt)
        print('the preview kept nothing; --out FILE would')
    elif args.describer:
        errors = _describe(args, images, out, prompt)
    elif not args.clip:
        raise InputError('say who describes: --describer minigpt4, hf or openai')
    if not args.preview and not args.batch_write:
        _print_summary(args, config, images, out, prompt)
    return 3 if errors else 0


def _describe(args: Namespace, images: ConfigImages, out: Path, prompt: str) -> int:
    """Describe images; gives the number of those that failed."""
    describer = build(args, prompt)
    step = max(len(images) // args.preview, 1) if args.preview else 1
    tasks = (
        [images[i] for i in range(0, len(images), step)][: args.preview] if args.preview else images
    )
    with DescriptionWriter(out) as writer:
        kept = kept_of(args, describer, prompt, out)
        with Progress('images', len(tasks)) as bar:
            ask = Run(
                describer,
                writer,
                kept,
                prompt,
                args.count,
                args.retries,
                report=partial(_show, bar),
                max_tokens=args.max_tokens_total,
            )
            tally = ask(tasks)
    failed = tally.statuses['error']
    if failed and failed == tally.asked and not tally.kept:
        raise InputError(
            f'none of {failed} images could be described; the last error: {tally.last_error}. '
            'Records of errors are kept, and the same command asks again'
        )
    if args.preview:
        _print_preview(tasks, out, prompt)
        at_once = describer.concurrency
        limit = args.requests_per_minute
        print(projection(tally, len(images), at_once, limit, args.price))
    else:
        took = f'{duration(bar.seconds)}, {tokens(tally, price=args.price)}'
        print(f'{tally.asked} images asked about, {tally.kept} had been; {out}')
        print(f'took {took}' if tally.asked else 'nothing was asked')
    print_hints(tally, len(tasks))
    return failed


def _print_preview(tasks, out: Path, prompt: str) -> None:
    store = DescriptionStore(out)
    for task in tasks:
        record = store.record(task.image, prompt) or {}
        print(f'{task.image}: {record["status"]} {record.get("error", "")}')
        for number, item in enumerate(record['descriptions'], 1):
            print(f'  {number}. {item}')


def _print_summary(args, config: Config, images: ConfigImages, out: Path, prompt: str) -> None:
    store = DescriptionStore(out)
    if prompt not in store.prompts and len(store.prompts) == 1:
        prompt = store.prompts[0]
    print(summarize(images, store, prompt, images.classes))
    if args.clip:
        from ..describe.zero_shot import zero_shot  # loads a CLIP model's parts

        print(zero_shot(args.clip, config, images, store, prompt))


def _show(bar: Progress, tally: Tally) -> None:
    """Images done, images and tokens a second, counts by status."""
    rates = (
        f'{tally.asked / bar.seconds:.1f} images/s {tally.tokens_out / bar.seconds:.0f} tokens/s'
    )
    counts = ' '.join(f'{count} {name}' for name, count in tally.statuses.items() if count)
    bar.advance(tally.asked + tally.kept - bar.done, f'{rates} {counts}')


def main() -> None:
    """Describe images as the command line says."""
    if code := run(parser().parse_args()):
        sys.exit(code)
