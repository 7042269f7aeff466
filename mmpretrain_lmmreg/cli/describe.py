"""Ask a large multimodal model to describe the images of a config's data sets.

    python tools/describe.py CONFIG --describer openai --model NAME
    python tools/describe.py CONFIG --describer hf --model FOLDER
    python tools/describe.py CONFIG --describer minigpt4 --options llm=FOLDER checkpoint=FILE

Replies are kept as they come: after Ctrl-C the same command continues. --preview 5 shows what to
expect and keeps nothing, unless --out names a file. Exit code 3: some images could not be
described.
"""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import add_on
from ..describe.describers import KINDS, NAMES, PROMPT, missing_endpoint
from ..errors import InputError
from ..io.printing import plain
from .options import KeyValues, positive, price, whole

if TYPE_CHECKING:
    from mmengine.config import Config

    from ..describe.plan import DescribePlan
    from ..describe.state import Tally
    from ..describe.tasks import ConfigImages, Task

KEPT = 'Replies are kept as they came; the same command continues.'


class _Parser(ArgumentParser):
    """Says at once, before torch is imported, that there is nobody to ask."""

    def parse_known_args(self, *args: Any, **options: Any) -> Any:
        """As argparse's, with the environment looked at."""
        given, rest = super().parse_known_args(*args, **options)
        files = given.merge or given.reparse or given.batch_write or given.batch_read
        if given.describer and not files and (missing := missing_endpoint(given.describer)):
            self.error(missing)
        return given, rest


def parser() -> ArgumentParser:
    """The command's options."""
    p = _Parser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    p.add_argument('config', help='training config whose images are described')
    p.add_argument('--describer', choices=NAMES, help='who is asked')
    p.add_argument('--model', default='', help='its name, folder, or (minigpt4) config')
    p.add_argument('--split', choices=['train', 'val', 'test', 'all'], default='train')
    p.add_argument('--out', type=Path, help="default: what the config's AttachDescriptions reads")
    p.add_argument(
        '--prompt',
        default='',
        help=f'default: {PROMPT.format(10)!r}; {{class}} stands for the name of the '
        "image's class (training images only)",
    )
    p.add_argument('--count', type=whole(1), default=10, help='descriptions asked for (10)')
    p.add_argument('--retries', type=whole(0), default=3, help='of bad replies and of requests (3)')
    p.add_argument(
        '--options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help="generation (max_new_tokens temperature top_p repetition_penalty) and the describer's "
        'own: ' + '; '.join(f'{name}: {kind.options}' for name, kind in KINDS.items()),
    )
    p.add_argument('--replace', action='store_true', help="a new model's replies replace another's")
    p.add_argument(
        '--preview',
        type=whole(1),
        metavar='N',
        help='describe N images, project the rest; keeps nothing without --out',
    )
    p.add_argument('--clip', metavar='MODEL,WEIGHTS', help='judge the descriptions by a CLIP model')
    _add_limits(p)
    _add_choice(p)
    _add_files(p)
    add_on(p)
    return p


def _add_limits(p: ArgumentParser) -> None:
    group = p.add_argument_group('how much and how fast')
    add = group.add_argument
    add('--concurrency', type=whole(1), help='requests at a time (openai: 8)')
    add('--batch-size', type=whole(1), help='images at a time (hf: 8, minigpt4: 4)')
    add(
        '--max-pixels',
        type=whole(1),
        metavar='N',
        help='images are reduced to N pixels (openai: 768 at the longest side; hf: not)',
    )
    add('--requests-per-minute', type=positive, metavar='N', help='send no more (openai)')
    add('--max-tokens-total', type=whole(1), metavar='N', help='stop before a run takes more')
    add('--price', type=price, metavar='IN,OUT', help='of a million tokens, to show the cost')
    add('--max-cost', type=positive, metavar='X', help='stop before a run costs more, by --price')


def _add_choice(p: ArgumentParser) -> None:
    group = p.add_argument_group('which images')
    add = group.add_argument
    add('--shard', default='1/1', metavar='i/n', help='a part of the images, 1/4 to 4/4')
    add(
        '--per-class',
        type=whole(1),
        metavar='N',
        help='N images of each class, spread over groups; 2N adds to those of N',
    )
    add(
        '--until',
        type=positive,
        metavar='X',
        help="ask in rounds until the standard error of each class's mean text embedding is at "
        'most X times the distance between the class means (0.05, say), with at most --per-class '
        "images each; embeds by the config's text tower or by --clip",
    )
    add('--seed', type=int, default=0, help='which images --per-class and --until take first')


def _add_files(p: ArgumentParser) -> None:
    group = p.add_argument_group('files (nobody is asked)')
    add = group.add_argument
    add('--merge', nargs='+', type=Path, metavar='FILE', help='put files into --out')
    add('--reparse', action='store_true', help='read the kept replies anew')
    add(
        '--batch-write',
        type=Path,
        metavar='FILE',
        help="write the requests as an OpenAI-style batch file (more than one beyond a service's "
        'limits)',
    )
    add('--batch-read', type=Path, nargs='+', metavar='FILE', help='keep the answers of a batch')
    add(
        '--check',
        nargs='?',
        const=True,
        metavar='PAGE.html',
        help='measure the quality of the kept descriptions, on a page (descriptions-check.html '
        'beside them): by class, with the outliers, such as images with a wrong label',
    )


def main() -> None:
    """Describe images as the command line says."""
    if code := run(parser().parse_args()):
        sys.exit(code)


def run(args: Namespace) -> int:
    """Carry the command out and give its exit code; raises InputError for the user's mistakes."""
    from ..config import load_config
    from ..describe import merge
    from ..describe.plan import DescribePlan, check_named
    from ..describe.tasks import ConfigImages, check_shard
    from .runner import quiet_log

    quiet_log()
    names = DescribePlan.__dataclass_fields__.keys()
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    plan = DescribePlan(**{'describer': 'openai', **given})
    _check_combination(args)
    config = load_config(args.config, args.on)
    images = ConfigImages(config, args.split, check_shard(args.shard))
    check_named(plan.prompt, args.split, images.classes)
    out = args.out or images.descriptions_file(config)
    if args.merge:
        print(f'{merge.merge(args.merge, out, args.reparse, args.count)} records added to {out}')
    elif args.reparse:
        added, worse = merge.reparse(out, args.count)
        print(f'{added} replies read better now')
        if worse:
            print(f'{worse} read worse; for a file that says so: --reparse --merge {out} --out NEW')
    elif args.preview and not args.out:
        with tempfile.TemporaryDirectory() as folder:  # half a file would make trouble in training
            failed = _preview(args, plan, config, images, Path(folder, 'preview.jsonl'))
        print('the preview kept nothing; --out FILE would')
        return 3 if failed else 0
    elif args.preview:
        return 3 if _preview(args, plan, config, images, out) else 0
    failed = False
    if args.batch_write or args.batch_read:
        failed = _batch(args, plan, _chosen(args, config, images), images.classes, out)
        if args.batch_write:
            return 3 if failed else 0
    elif args.until:
        failed = _until(args, plan, config, images, out)
    elif args.describer and not args.merge and not args.reparse:
        failed = _describe(plan, _chosen(args, config, images), images.classes, out)
    _print_end(args, plan, config, images, out)
    return 3 if failed else 0


def _check_combination(args: Namespace) -> None:
    """Refuse options that mean nothing together, by name."""
    files = args.merge or args.reparse or args.batch_write or args.batch_read
    if not (args.describer or files or args.clip or args.check):
        raise InputError(
            f'name who describes: --describer {", ".join(NAMES)}', code='describe.no_describer'
        )
    if args.until and not args.describer:
        raise InputError(
            f'--until asks: name who describes by --describer {", ".join(NAMES)}',
            code='describe.no_describer',
        )
    if args.until and (args.preview or args.shard != '1/1'):
        other = '--preview' if args.preview else '--shard'
        raise InputError(
            f'--until looks at all classes after each round: leave {other} out',
            code='describe.combination',
        )
    batch = args.batch_write or args.batch_read
    if batch and not (args.describer and KINDS[args.describer].supports_batch_files):
        raise InputError('batch files are for --describer openai', code='describe.combination')


def _chosen(args: Namespace, config: Config, images: ConfigImages) -> Sequence[Task]:
    """All images, or those of ``--per-class``, chosen among the images of all shards."""
    if not args.per_class:
        return images
    from ..describe.convergence import choose
    from ..describe.tasks import ConfigImages

    everything = images if args.shard == '1/1' else ConfigImages(config, args.split)
    names = {task.image for task in choose(everything, args.per_class, args.seed)}
    return [task for task in images if task.image in names]


def _ask(
    plan: DescribePlan,
    tasks: Sequence[Task],
    classes: Sequence[str],
    out: Path,
    tally: Tally,
    **options: Any,
) -> bool:
    """Describe the tasks that need it; False where nobody answers any more, which is said."""
    from ..describe.run import opened
    from ..progress import Progress

    before, answered = tally.done, True
    opening = opened(plan, out, classes=classes, tally=tally, **options)
    with opening as run, Progress('images', len(tasks)) as bar:

        def show(tally: Tally) -> None:
            counts = ' '.join(f'{n} {name}' for name, n in tally.statuses.items() if n)
            rates = f'{tally.asked / bar.seconds:.1f} images/s'
            rates += f' {tally.tokens_out / bar.seconds:.0f} tokens/s'
            bar.advance(tally.done - before - bar.done, f'{rates} {counts}')

        run.report = show
        try:
            run(tasks)
        except InputError as error:
            if error.code not in ('describe.no_answers', 'describe.only_reasoning'):
                raise
            print(plain(f'error: {error}'), file=sys.stderr)
            answered = False
    return answered


def _describe(plan: DescribePlan, tasks: Sequence[Task], classes: Sequence[str], out: Path) -> bool:
    """Describe images; whether some could not be."""
    from ..describe.run import contents_of
    from ..describe.state import Tally
    from ..describe.summary import tokens

    tally = Tally()
    answered = _ask(plan, tasks, classes, out, tally, contents=contents_of(out))
    shared = f', {tally.shared} share the replies of others' if tally.shared else ''
    print(f'{tally.asked} images asked about, {tally.kept} had been{shared}; {out}')
    if tally.asked:
        print(f'took {tokens(tally, price=plan.price)}')
    _print_hints(tally, len(tasks))
    return not answered or bool(tally.statuses['error'])


def _preview(
    args: Namespace, plan: DescribePlan, config: Config, images: ConfigImages, out: Path
) -> bool:
    """Describe a few images, show the replies, and project the rest; whether some failed."""
    from ..describe.state import Tally
    from ..describe.summary import projection
    from ..descriptions.store import DescriptionStore

    wanted = _chosen(args, config, images)
    step = max(len(wanted) // args.preview, 1)
    tasks = [wanted[i] for i in range(0, len(wanted), step)][: args.preview]
    tally, describer = Tally(), plan.build()
    answered = _ask(plan, tasks, images.classes, out, tally, describer=describer)
    store = DescriptionStore(out)
    for task in tasks:
        if record := store.record(task.image, plan.prompt):  # the budget may have ended before
            print(plain(f'{task.image}: {record["status"]} {record.get("error", "")}'))
            for number, item in enumerate(record['descriptions'], 1):
                print(plain(f'  {number}. {item}'))
    limit = plan.requests_per_minute
    print(projection(tally, len(wanted), describer.concurrency, limit, plan.price))
    _print_hints(tally, len(tasks))
    return not answered or bool(tally.statuses['error'])


def _until(
    args: Namespace, plan: DescribePlan, config: Config, images: ConfigImages, out: Path
) -> bool:
    """Describe until class means are known well; whether some images could not be described."""
    from ..describe.convergence import Convergence
    from ..describe.run import contents_of
    from ..describe.state import Tally
    from ..describe.summary import tokens
    from ..describe.zero_shot_eval import text_tower

    tower, tally, answered = text_tower(config, args.clip), Tally(), True
    rounds = Convergence(images, images.classes, args.until, args.per_class, args.seed, tower)
    describer = plan.build()
    while answered and not tally.spent and (new := rounds.next()):
        options = dict(describer=describer, contents=contents_of(out))
        answered = _ask(plan, new, images.classes, out, tally, **options)
        if answered and not tally.spent:
            print(rounds.measured(out, plan.prompt, len(new)))
    if tally.asked:
        print(f'took {tokens(tally, price=plan.price)}')
    if tally.spent:
        print(f'stopped at {tally.spent}; the same command continues')
    elif answered:
        print(rounds.table())
    _print_hints(tally, 0)
    return not answered or bool(tally.statuses['error'])


def _batch(
    args: Namespace, plan: DescribePlan, tasks: Sequence[Task], classes: Sequence[str], out: Path
) -> bool:
    """Write a batch's requests or keep its answers; whether some images failed."""
    from ..describe import batch
    from ..describe.run import contents_of, opened
    from ..describe.summary import tokens

    describer, contents = plan.build(offline=True), contents_of(out)
    with opened(plan, out, classes=classes, describer=describer, contents=contents) as run:
        if args.batch_write:
            for file, count in batch.write(run, tasks, args.batch_write):
                print(f'{count} requests in {file}')
        else:
            read, skipped = batch.read(run, tasks, args.batch_read)
            print(f'{read} answers kept in {out}, {skipped} were of no use')
            print(tokens(run.tally, price=plan.price))
        run.contents.save()
    _print_hints(run.tally, 0)
    return bool(run.tally.statuses['error'])


def _print_hints(tally: Tally, images: int) -> None:
    """What is left, and what to do about it."""
    if tally.spent and images:
        left = images - tally.done
        print(f'stopped at {tally.spent}; {left} images left, the same command continues')
    if tally.cut:
        print(
            f'{tally.cut} replies were cut off by the token limit: a higher --options '
            'max_new_tokens=NUMBER (or max_completion_tokens, where that is given) asks anew'
        )
    if failed := tally.statuses['error']:
        text = f'{failed} images could not be described, the same command asks again; the last: '
        print(plain(text + tally.last_error), file=sys.stderr)


def _print_end(
    args: Namespace, plan: DescribePlan, config: Config, images: ConfigImages, out: Path
) -> None:
    """What the file holds, what it is worth if that was asked, and the next command."""
    from ..describe.summary import summarize
    from ..descriptions.store import DescriptionStore

    store, prompt = DescriptionStore(out), plan.prompt
    if prompt not in store.prompts and len(store.prompts) == 1:
        prompt = store.prompts[0]
    summary = summarize(images, store, prompt, images.classes)
    print(plain(summary))
    print(plain(f'kept in       {out}'))
    if args.check:
        _check(args, config, images, out, prompt)
    elif args.clip:
        from ..describe.zero_shot_eval import zero_shot

        print(zero_shot(args.clip, config, images, store, prompt))
    on = f' --on {args.on}' if args.on else ''
    if summary.descriptions and args.split in ('train', 'all'):
        print(plain(f'next          mmpretrain-lmmreg train {args.config}{on}'))


def _check(args: Namespace, config: Config, images: ConfigImages, out: Path, prompt: str) -> None:
    """Print the quality of the descriptions; write the page, and the figures for reports."""
    try:
        from ..describe.check import check
        from ..describe.check_page import write_figures, write_page
        from ..describe.summary import check_path
    except ModuleNotFoundError as error:
        raise InputError(
            f"--check needs more packages ({error}): pip install 'mmpretrain_lmmreg[evidence]'",
            code='describe.no_package',
        ) from None
    path = out.with_name('descriptions-check.html') if args.check is True else Path(args.check)
    found = check(config, images, out, prompt, args.clip)
    print(plain(found))
    write_page(found, path)
    write_figures(found, check_path(out))
    print(f'page          {path}')
