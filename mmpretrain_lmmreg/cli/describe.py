"""Ask a large multimodal model to describe the images of a config's data sets.

    python tools/describe.py CONFIG --describer openai --model NAME
    python tools/describe.py CONFIG --describer hf --model FOLDER
    python tools/describe.py CONFIG --describer minigpt4 --options llm=FOLDER checkpoint=FILE

Replies are kept as they come: after Ctrl-C the same command goes on. --preview 5 shows what to
expect and keeps nothing, unless --out names a file.
"""

import tempfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mmengine.config import Config, DictAction

from ..config import add_on, load_config
from ..describe import describers
from ..describe.images import SPLITS, ConfigImages
from ..describe.merge import merge, reparse
from ..describe.named import NamedDescriber, check_named
from ..describe.progress import Progress as Kept
from ..describe.run import Loaded, Run, Tally, Task, check_shard, load_image, settings_of
from ..describe.summary import projection, summarize
from ..descriptions.samples import names_class
from ..descriptions.store import DescriptionStore, DescriptionWriter
from ..errors import InputError
from ..printing import plain
from ..progress import Progress
from .describe_budget import (
    add_budget_options,
    check_budget,
    chosen,
    describe_until,
    write_check,
)

KEPT = 'Replies are kept as they came; the same command goes on.'


def parser() -> ArgumentParser:
    """The command's options."""
    p = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    p.add_argument('config', help='training config whose images are described')
    p.add_argument('--describer', choices=describers.NAMES, help='who is asked')
    p.add_argument('--model', default='', help='its name, folder, or (minigpt4) config')
    p.add_argument('--split', choices=[*SPLITS, 'all'], default='train')
    p.add_argument('--out', type=Path, help="default: what the config's AttachDescriptions reads")
    p.add_argument(
        '--prompt',
        help=f'default: {describers.PROMPT.format(10)!r}; {{class}} stands for the name of the '
        "image's class (training images only)",
    )
    p.add_argument('--count', type=int, default=10, help='descriptions asked for (10)')
    p.add_argument('--concurrency', type=int, help='requests at a time (openai: 8)')
    p.add_argument('--batch-size', type=int, help='images at a time (hf: 8, minigpt4: 4)')
    p.add_argument('--retries', type=int, default=3, help='of bad replies and of requests (3)')
    p.add_argument('--shard', default='1/1', metavar='i/n', help='a part of the images, 1/4 to 4/4')
    p.add_argument('--merge', nargs='+', type=Path, metavar='FILE', help='put files into --out')
    p.add_argument(
        '--preview',
        type=int,
        metavar='N',
        help='describe N images, project the rest; keeps nothing without --out',
    )
    p.add_argument('--reparse', action='store_true', help='read the kept replies anew; ask nobody')
    p.add_argument('--clip', metavar='MODEL,WEIGHTS', help='judge the descriptions by a CLIP model')
    p.add_argument(
        '--options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='generation (max_new_tokens, temperature, top_p, repetition_penalty) and the '
        "describer's own; an unknown key lists them",
    )
    add_budget_options(p)
    add_on(p)
    return p


def run(args: Namespace) -> None:
    """Carry the command out; raises InputError for the user's mistakes."""
    config = load_config(args.config, args.on)
    images = ConfigImages(config, args.split, check_shard(args.shard))
    out = args.out or images.descriptions_file(config)
    prompt = args.prompt or describers.PROMPT.format(args.count)
    check_budget(args)
    check_named(prompt, args.split, images.classes)
    if args.merge:
        added = merge(args.merge, out, args.reparse, args.count)
        print(f'{added} records added to {out}')
    elif args.reparse:
        added, worse = reparse(out, args.count)
        print(f'{added} replies read better now')
        if worse:
            print(f'{worse} read worse; for a file that says so: --reparse --merge {out} --out NEW')
    elif args.describer and args.preview and not args.out:
        with tempfile.TemporaryDirectory() as folder:  # half a file would make trouble in training
            _describe(args, config, images, Path(folder, 'preview.jsonl'), prompt)
        print('the preview kept nothing; --out FILE would')
    elif args.until is not None:
        describe_until(args, config, images, _asker(args, images, out, prompt), out, prompt)
    elif args.describer:
        _describe(args, config, images, out, prompt)
    elif not args.clip and not args.check:
        raise InputError('say who describes: --describer minigpt4, hf or openai')
    if not args.preview:
        _print_summary(args, config, images, out, prompt)


def _build(args: Namespace, prompt: str) -> describers.Describer:
    given = {'batch_size': args.batch_size, 'concurrency': args.concurrency}
    return describers.build_describer(
        args.describer,
        dict(args.options),
        model=args.model,
        prompt=prompt,
        retries=args.retries,
        **{key: value for key, value in given.items() if value is not None},
    )


def _ask(
    args: Namespace, describer: describers.Describer, tasks, classes, out: Path, prompt: str
) -> tuple[Tally, float]:
    """Describe the tasks that need it; the tally, and the seconds that it took."""
    load: Callable[..., Loaded] = load_image
    if names_class(prompt):
        describer = named = NamedDescriber(describer, tasks, classes)
        load = named.load
    with DescriptionWriter(out) as writer:
        kept = Kept(prompt, describer.model, settings_of(describer), out)
        with Progress('images', len(tasks)) as bar:
            report = partial(_show, bar)
            run = Run(
                describer, writer, kept, prompt, args.count, args.retries, report=report, load=load
            )
            return run(tasks), bar.seconds


def _asker(
    args: Namespace, images: ConfigImages, out: Path, prompt: str
) -> Callable[[list[Task]], None]:
    """Asks about some tasks after the other; a model on this machine stays loaded."""
    kept: list[describers.Describer] = []
    good = 0

    def ask(tasks: list[Task]) -> None:
        nonlocal good
        describer = kept.pop() if kept else _build(args, prompt)
        tally, _ = _ask(args, describer, tasks, images.classes, out, prompt)
        good += tally.kept + tally.asked - tally.statuses['error']
        if not good:  # later, a few broken images are no reason to stop
            _check(tally, tasks, out, prompt)
        if args.describer != 'openai':  # whose connections end with the event loop of a run
            kept.append(describer)

    return ask


def _describe(
    args: Namespace, config: Config, images: ConfigImages, out: Path, prompt: str
) -> None:
    describer = _build(args, prompt)
    tasks = wanted = chosen(args, config, images)
    if args.preview:
        step = max(len(wanted) // args.preview, 1)
        tasks = [wanted[i] for i in range(0, len(wanted), step)][: args.preview]
    tally, seconds = _ask(args, describer, tasks, images.classes, out, prompt)
    _check(tally, tasks, out, prompt)
    if args.preview:
        _print_preview(tasks, out, prompt)
        print(projection(tally, seconds, len(wanted)))
    else:
        print(f'{tally.asked} images asked about, {tally.kept} had been; {out}')


def _check(tally: Tally, tasks: Sequence[Task], out: Path, prompt: str) -> None:
    """Raise InputError where every image that was asked about failed."""
    if tally.asked and tally.statuses['error'] == tally.asked:
        record = DescriptionStore(out).record(tasks[-1].image, prompt) or {}
        raise InputError(
            f'none of {tally.asked} images could be described; the last error: {record["error"]}. '
            'Records of errors are kept, and the same command asks again'
        )


def _print_preview(tasks, out: Path, prompt: str) -> None:
    store = DescriptionStore(out)
    for task in tasks:
        record = store.record(task.image, prompt) or {}
        print(plain(f'{task.image}: {record["status"]} {record.get("error", "")}'))
        for number, item in enumerate(record['descriptions'], 1):
            print(plain(f'  {number}. {item}'))


def _print_summary(args, config: Config, images: ConfigImages, out: Path, prompt: str) -> None:
    store = DescriptionStore(out)
    if prompt not in store.prompts and len(store.prompts) == 1:
        prompt = store.prompts[0]
    print(plain(summarize(images, store, prompt, images.classes)))
    if args.check:
        write_check(args, config, images, out, prompt)
        return
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
    run(parser().parse_args())
