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
from pathlib import Path

from mmengine.config import Config

from ..config import add_on, load_config
from ..describe import describers
from ..describe.images import SPLITS, ConfigImages
from ..describe.merge import merge, reparse
from ..describe.named import check_named
from ..describe.run import check_shard
from ..describe.summary import summarize
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..printing import plain
from .describe_ask import describe, describe_in_rounds
from .describe_budget import add_budget_options, check_budget, chosen, write_check
from .describe_limits import add_limit_options, run_batch
from .options import KeyValues, whole
from .runner import quiet_log

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
    add_budget_options(p)
    add_on(p)
    return p


def run(args: Namespace) -> int:
    """Carry the command out and give its exit code; raises InputError for the user's mistakes."""
    quiet_log()
    config = load_config(args.config, args.on)
    images = ConfigImages(config, args.split, check_shard(args.shard))
    out = args.out or images.descriptions_file(config)
    prompt = args.prompt or describers.PROMPT.format(args.count)
    check_budget(args)
    check_named(prompt, args.split, images.classes)
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
        errors = run_batch(args, chosen(args, config, images), images.classes, out, prompt)
    elif args.describer and args.preview and not args.out:
        with tempfile.TemporaryDirectory() as folder:  # half a file would make trouble in training
            errors = describe(args, config, images, Path(folder, 'preview.jsonl'), prompt)
        print('the preview kept nothing; --out FILE would')
    elif args.until is not None:
        errors = describe_in_rounds(args, config, images, out, prompt)
    elif args.describer:
        errors = describe(args, config, images, out, prompt)
    elif not args.clip and not args.check:
        raise InputError('say who describes: --describer minigpt4, hf or openai')
    if not args.preview and not args.batch_write:
        _print_summary(args, config, images, out, prompt)
    return 3 if errors else 0


def _print_summary(args, config: Config, images: ConfigImages, out: Path, prompt: str) -> None:
    store = DescriptionStore(out)
    if prompt not in store.prompts and len(store.prompts) == 1:
        prompt = store.prompts[0]
    print(plain(summarize(images, store, prompt, images.classes)))
    if args.check:
        write_check(args, config, images, out, prompt)
        return
    if args.clip:
        from ..describe.untrained import zero_shot  # loads a CLIP model's parts

        print(zero_shot(args.clip, config, images, store, prompt))


def main() -> None:
    """Describe images as the command line says."""
    if code := run(parser().parse_args()):
        sys.exit(code)
