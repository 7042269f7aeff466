"""Ask a large multimodal model to describe the images of a config's data sets.

    python tools/describe.py CONFIG --describer openai --model NAME
    python tools/describe.py CONFIG --describer hf --model FOLDER
    python tools/describe.py CONFIG --describer minigpt4 --options llm=FOLDER checkpoint=FILE

Replies are kept as they come: after Ctrl-C the same command continues. --preview 5 shows what to
expect and keeps nothing, unless --out names a file. Exit code 3: some images could not be
described.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from ..config import add_on
from ..describe.describers import KINDS, NAMES, PROMPT, missing_endpoint
from .options import KeyValues, positive, price, whole

KEPT = 'Replies are kept as they came; the same command continues.'
_PROMPT = f"default: {PROMPT.format(10)!r}; {{class}} is the name of the image's class (train only)"
_OPTIONS = (
    'generation (max_new_tokens temperature top_p repetition_penalty) and, of the describer, '
    + '; '.join(f'{name}: {kind.options}' for name, kind in KINDS.items())
)
_UNTIL = (
    "ask in rounds until the standard error of each class's mean text embedding is at most X times "
    'the distance between the class means (0.05, say), with at most --per-class images each; '
    "embeds by the config's text tower or by --clip"
)
_BATCH = "write the requests as an OpenAI-style batch file (several beyond a service's limits)"
_CHECK = (
    'measure the quality of the kept descriptions, on a page (descriptions-check.html beside '
    'them): by class, with the outliers, such as images with a wrong label'
)


def _shard(text: str) -> tuple[int, int]:
    """A type of option: ``i/n``; i counts from 1 (or from 0: only its remainder matters)."""
    first, _, second = text.partition('/')
    if not (first.isdecimal() and second.isdecimal() and int(first) <= int(second) > 0):
        raise ArgumentTypeError(f'{text}: write i/n, such as 1/4 to 4/4')
    return int(first) % int(second), int(second)


class _Parser(ArgumentParser):
    """Says at once, before torch is imported, that there is nobody to ask."""

    def parse_known_args(self, *args: Any, **options: Any) -> Any:
        given, rest = super().parse_known_args(*args, **options)
        files = given.merge or given.reparse or given.batch_write or given.batch_read
        if given.describer and not files and (missing := missing_endpoint(given.describer)):
            self.error(missing)
        return given, rest


def parser() -> ArgumentParser:
    """The command's options."""
    p = _Parser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    add = p.add_argument
    add('config', help='training config whose images are described')
    add('--describer', choices=NAMES, help='who is asked')
    add('--model', default='', help='its name, folder, or (minigpt4) config')
    add('--split', choices=['train', 'val', 'test', 'all'], default='train')
    add('--out', type=Path, help="default: what the config's AttachDescriptions reads")
    add('--prompt', default='', help=_PROMPT)
    add('--count', type=whole(1), default=10, help='descriptions asked for (10)')
    add('--retries', type=whole(0), default=3, help='of bad replies and of requests (3)')
    add('--options', nargs='+', action=KeyValues, default={}, metavar='KEY=VALUE', help=_OPTIONS)
    add('--replace', action='store_true', help="a new model's replies replace another's")
    preview = 'describe N images, project the rest; keeps nothing without --out'
    add('--preview', type=whole(1), metavar='N', help=preview)
    add('--clip', metavar='MODEL,WEIGHTS', help='judge the descriptions by a CLIP model')
    add = p.add_argument_group('how much and how fast').add_argument
    add('--concurrency', type=whole(1), help='requests at a time (openai: 8)')
    add('--batch-size', type=whole(1), help='images at a time (hf: 8, minigpt4: 4)')
    pixels = 'images are reduced to N pixels (openai: 768 at the longest side; hf: not)'
    add('--max-pixels', type=whole(1), metavar='N', help=pixels)
    add('--requests-per-minute', type=positive, metavar='N', help='send no more (openai)')
    add('--max-tokens-total', type=whole(1), metavar='N', help='stop before a run takes more')
    add('--price', type=price, metavar='IN,OUT', help='of a million tokens, to show the cost')
    add('--max-cost', type=positive, metavar='X', help='stop before a run costs more, by --price')
    add = p.add_argument_group('which images').add_argument
    add(
        '--shard',
        type=_shard,
        default='1/1',
        metavar='i/n',
        help='a part of the images, 1/4 to 4/4',
    )
    per_class = 'N images of each class, spread over groups; 2N adds to those of N'
    add('--per-class', type=whole(1), metavar='N', help=per_class)
    add('--until', type=positive, metavar='X', help=_UNTIL)
    add('--seed', type=int, default=0, help='which images --per-class and --until take first')
    add = p.add_argument_group('files (nobody is asked)').add_argument
    add('--merge', nargs='+', type=Path, metavar='FILE', help='put files into --out')
    add('--reparse', action='store_true', help='read the kept replies anew')
    add('--batch-write', type=Path, metavar='FILE', help=_BATCH)
    add('--batch-read', type=Path, nargs='+', metavar='FILE', help='keep the answers of a batch')
    add('--check', nargs='?', const=True, metavar='PAGE.html', help=_CHECK)
    add_on(p)
    return p


def main() -> None:
    """Describe images as the command line says."""
    args = parser().parse_args()
    from .describe_run import run

    if code := run(args):
        sys.exit(code)
