"""Ask a large multimodal model to describe the images of a config's data sets.

    python tools/describe.py CONFIG --describer openai --model NAME
    python tools/describe.py CONFIG --describer hf --model FOLDER
    python tools/describe.py CONFIG --describer minigpt4 --options llm=FOLDER checkpoint=FILE

Replies are kept as they come: after Ctrl-C the same command goes on. --preview 5 shows what to
expect and keeps nothing, unless --out names a file. Exit code 3: some images could not be
described.
"""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from ..config import add_on
from ..describe import describers
from .describe_options import add_budget_options, add_limit_options
from .options import KeyValues, whole

KEPT = 'Replies are kept as they came; the same command goes on.'


def parser() -> ArgumentParser:
    """The command's options."""
    p = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    p.add_argument('config', help='training config whose images are described')
    p.add_argument('--describer', choices=describers.NAMES, help='who is asked')
    p.add_argument('--model', default='', help='its name, folder, or (minigpt4) config')
    p.add_argument('--split', choices=['train', 'val', 'test', 'all'], default='train')
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


def main() -> None:
    """Describe images as the command line says."""
    args = parser().parse_args()
    from .describe_run import run

    if code := run(args):
        sys.exit(code)
