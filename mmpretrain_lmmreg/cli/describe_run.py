"""What the command describe does, by its options."""

import shlex
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TextIO

from mmengine.config import Config

from ..config import load_config
from ..describe import batch
from ..describe.convergence import Convergence, choose
from ..describe.describers import KINDS, NAMES
from ..describe.merge import merge, reparse
from ..describe.plan import DescribePlan
from ..describe.run import contents_of, opened
from ..describe.state import Tally
from ..describe.summary import check_path, projection, summarize, tokens
from ..describe.tasks import ConfigImages, Task, check_replaced
from ..describe.zero_shot_eval import text_tower
from ..descriptions.samples import CLASS, names_class
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..io.printing import plain
from ..progress import Progress
from .runner import quiet_log

FAILED = 3  # exit code: some images could not be described
_WHOLE = (0, 1)  # the only shard
_NO_ANSWERS = ('describe.no_answers', 'describe.only_reasoning')


def _say(text: object, file: TextIO | None = None) -> None:
    print(plain(text), file=file)


def run(args: Namespace) -> int:
    """Carry the command out and give its exit code; raises InputError for the user's mistakes."""
    quiet_log()
    given = {each.name: getattr(args, each.name) for each in fields(DescribePlan)}
    plan = DescribePlan(**{name: value for name, value in given.items() if value is not None})
    _check_combination(args)
    page = Path(args.check) if isinstance(args.check, str) else None
    for path, start in ((args.batch_write, batch.START), (page, b'<!doctype html>')):
        if path:
            check_replaced(path, start)
    config = load_config(args.config, args.on)
    images = ConfigImages(config, args.split, args.shard)
    _check_named(plan.prompt, args.split, images.classes)
    job = Job(plan, config, images, args.out or images.descriptions_file())
    if args.merge:
        added = merge(args.merge, job.out, args.reparse, args.count)
        _say(f'{added} records added to {job.out}')
    elif args.reparse:
        job.reparse()
    elif args.until:
        tower = text_tower(config, args.clip)
        rounds = (images, images.classes, args.until, args.per_class, args.seed, tower)
        job.describe_until(Convergence(*rounds))
    elif args.describer:
        wanted: Sequence[Task] = images
        if args.per_class:  # chosen among the images of all shards
            every = images if args.shard == _WHOLE else ConfigImages(config, args.split)
            names = {task.image for task in choose(every, args.per_class, args.seed)}
            wanted = [task for task in images if task.image in names]
        if args.preview:
            return job.preview(wanted, args.preview, keep=bool(args.out))
        if args.batch_write or args.batch_read:
            job.exchange(wanted, args.batch_write, args.batch_read)
        else:
            job.describe(wanted)
    if args.batch_write:
        return job.code
    job.print_end(args.clip, args.check)
    if args.split in ('train', 'all') and not job.code:
        on = ['--on', args.on] if args.on else []
        _say(f'next          mmpretrain-lmmreg train {shlex.join([args.config, *on])}')
    return job.code


def _check_combination(args: Namespace) -> None:
    """Refuse options that mean nothing together, by name."""
    batches = args.batch_write or args.batch_read
    asks = args.until or args.preview or batches
    if not args.describer and (asks or not (args.merge or args.reparse or args.clip or args.check)):
        raise InputError(
            f'choose the kind of model to ask: --describer {", ".join(NAMES)}',
            code='describe.no_describer',
        )
    problem = ''
    jobs = {
        '--merge or --reparse': args.merge or args.reparse,
        '--until': args.until,
        '--preview': args.preview,
        '--batch-write': args.batch_write,
        '--batch-read': args.batch_read,
    }
    if len(given := [name for name, value in jobs.items() if value]) > 1:
        problem = f'{", ".join(given)}: give one of them at a time'
    if args.until and args.shard != _WHOLE:
        problem = '--until looks at all classes after each round: leave --shard out'
    if batches and not KINDS[args.describer].supports_batch_files:
        problem = 'batch files are for --describer openai'
    if problem:
        raise InputError(problem, code='describe.combination')


def _check_named(prompt: str, split: str, classes: Sequence[str]) -> None:
    """Refuse a prompt with ``{class}`` where there is no name, or it would give the answer away."""
    problem = '' if classes else 'the data set has no class names'
    if split != 'train':
        problem = (
            f'the descriptions of --split {split} would tell the class of test and validation '
            'images; only training images may be described by such a prompt'
        )
    if names_class(prompt) and problem:
        raise InputError(f'--prompt with {CLASS}: {problem}', code='describe.class_in_prompt')


@dataclass
class Job:
    """The parts of a command, and how it ends."""

    plan: DescribePlan
    config: Config
    images: ConfigImages
    out: Path
    code: int = 0

    def describe(self, tasks: Sequence[Task]) -> None:
        """Describe images."""
        tally = Tally()
        self._ask(tasks, tally, contents=contents_of(self.out))
        shared = f', {tally.shared} share the replies of others' if tally.shared else ''
        _say(f'{tally.asked} images asked about, {tally.kept} kept before{shared}; {self.out}')
        self._print_taken(tally, len(tasks))

    def preview(self, wanted: Sequence[Task], count: int, keep: bool) -> int:
        """Describe a few images, show the replies, and project the rest."""
        step = max(len(wanted) // count, 1)
        tasks = [wanted[i] for i in range(0, len(wanted), step)][:count]
        tally, describer = Tally(), self.plan.build()
        with tempfile.TemporaryDirectory() as folder:  # half a file would make trouble in training
            self.out = self.out if keep else Path(folder, 'preview.jsonl')
            self._ask(tasks, tally, describer=describer)
            store = DescriptionStore(self.out)
            for task in tasks:
                if record := store.record(task.image, self.plan.prompt):  # a limit ends some before
                    _say(f'{task.image}: {record["status"]} {record.get("error", "")}')
                    for number, item in enumerate(record['descriptions'], 1):
                        _say(f'  {number}. {item}')
        limit = self.plan.requests_per_minute
        if not self.code:
            _say(projection(tally, len(wanted), describer.concurrency, limit, self.plan.price))
        self._print_hints(tally, len(tasks))
        if not keep:
            _say('the preview kept nothing; --out FILE keeps the descriptions')
        return self.code

    def describe_until(self, rounds: Convergence) -> None:
        """Describe until class means are known well."""
        tally, describer = Tally(), self.plan.build()
        while not tally.spent and not self.code and (new := rounds.next()):
            self._ask(new, tally, describer=describer, contents=contents_of(self.out))
            _say(rounds.measured(self.out, self.plan.prompt, len(new)))
        _say(rounds.table())
        self._print_taken(tally, 0)

    def _ask(self, tasks: Sequence[Task], tally: Tally, **options: Any) -> None:
        """Describe the tasks that need it; where nobody answers any more, this is said."""
        before, classes = tally.done, self.images.classes

        def show(tally: Tally) -> None:
            counts = ' '.join(f'{n} {name}' for name, n in tally.statuses.items() if n)
            rates = f'{tally.asked / bar.seconds:.1f} images/s'
            rates += f' {tally.tokens_out / bar.seconds:.0f} tokens/s'
            bar.advance(tally.done - before - bar.done, f'{rates} {counts}')

        options |= dict(classes=classes, tally=tally, report=show)
        with opened(self.plan, self.out, **options) as run, Progress('images', len(tasks)) as bar:
            try:
                run(tasks)
            except InputError as error:
                if error.code not in _NO_ANSWERS:
                    raise
                _say(f'error: {error}', sys.stderr)
                self.code = FAILED

    def exchange(self, tasks: Sequence[Task], written: Path | None, files: Sequence[Path]) -> None:
        """Write the requests about the images that need asking, or keep the answers of a batch."""
        describer, contents = self.plan.build(offline=True), contents_of(self.out)
        options: dict[str, Any] = dict(classes=self.images.classes, contents=contents)
        with opened(self.plan, self.out, describer=describer, **options) as run:
            if written:
                for part, count in batch.write(run, tasks, written):
                    _say(f'{count} requests in {part}')
            else:
                read, skipped = batch.read(run, tasks, files)
                _say(f'{read} answers kept in {self.out}, {skipped} could not be used')
        self._print_taken(run.tally, 0)

    def reparse(self) -> None:
        """Read the kept replies anew."""
        added, worse = reparse(self.out, self.plan.count)
        _say(f'{added} replies are parsed better now')
        if worse:
            again = f'--reparse --merge {shlex.quote(str(self.out))} --out NEW'
            _say(f'{worse} are parsed worse and stay; {again} keeps the new lists')

    def _print_taken(self, tally: Tally, images: int) -> None:
        if tally.answers:
            _say(f'took {tokens(tally, price=self.plan.price)}')
        self._print_hints(tally, images)

    def _print_hints(self, tally: Tally, images: int) -> None:
        """What is left, and what to do about it."""
        if tally.spent:
            left = f'; {images - tally.done} images left' if images else ''
            _say(f'stopped at {tally.spent}{left}, the same command continues')
        if tally.cut:
            _say(
                f'{tally.cut} replies were cut off by the token limit: a higher --options '
                'max_new_tokens=NUMBER (or max_completion_tokens, where that is given) asks again'
            )
        if failed := tally.statuses['error']:
            text = f'{failed} images could not be described, the same command asks again; the last'
            _say(f'{text}: {tally.last_error}', sys.stderr)
            self.code = FAILED

    def print_end(self, clip: str | None, page: str | bool | None) -> None:
        """What the file holds, and what it is worth if that was asked."""
        store, prompt = DescriptionStore(self.out), self.plan.prompt
        if prompt not in store.prompts and len(store.prompts) == 1:
            prompt = store.prompts[0]
        _say(summarize(self.images, store, prompt, self.images.classes))
        _say(f'kept in       {self.out}')
        if not (page or clip):
            return
        try:
            from ..describe.check import check
        except ModuleNotFoundError as error:
            raise InputError(
                f"--check needs more packages ({error}): pip install 'mmpretrain_lmmreg[evidence]'",
                code='describe.no_package',
            ) from None
        found = check(self.config, self.images, self.out, prompt, clip)
        if not page:
            _say(found.without_training())
            return
        path = self.out.with_name('descriptions-check.html') if page is True else Path(str(page))
        _say(found)
        found.write(path, check_path(self.out))
        _say(f'page          {path}')
