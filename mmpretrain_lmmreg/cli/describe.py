"""Ask a large multimodal model (LMM) to describe the images of a config.

--describer openai asks an endpoint, hf a local model with a chat template, minigpt4 the paper's
model. Replies are kept as they come: after Ctrl-C the same command continues. --preview 5 shows
what to expect and keeps nothing. Exit code 3: some images could not be described.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from ..config import add_on
from ..describe.describers import KINDS, NAMES, missing_endpoint
from .options import KeyValues, command_parser, positive, price, whole

KEPT = 'Replies are kept as they came; the same command continues.'
# descriptions.samples.PROMPT, whose import takes seconds
_PROMPT = (
    "'Give 10 semantic descriptions for the image'; {class} stands for the class name (training "
    'images only)'
)
_OPTIONS = (
    'how replies are generated: max_new_tokens temperature top_p repetition_penalty; '
    + '; '.join(f'{name}: {kind.options}' for name, kind in KINDS.items())
)
_UNTIL = (
    "continue until the standard error of each class's mean text embedding is at most X times the "
    'distance between the class means, such as 0.2; --per-class limits the images of a class'
)
_OUT = 'file of the descriptions (the one that the config reads)'
_BATCH = 'write the requests as batch files of the OpenAI format'
_CHECK = (
    'measure the kept descriptions and write a page about them (descriptions-check.html): figures '
    'of each class, and images whose descriptions do not fit their class'
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
    example = 'mmpretrain-lmmreg describe configs/lmmreg_bar.py --describer openai --model NAME'
    p = command_parser(__doc__, example, _Parser)
    p.add_argument('config', metavar='CONFIG', help='config of the images to describe')
    add = p.add_argument_group('model and prompt').add_argument
    add('--describer', choices=NAMES, help='kind of model to ask')
    add('--model', default='', metavar='NAME', help='model name or folder; minigpt4: a config')
    add('--prompt', default='', metavar='TEXT', help=_PROMPT)
    add('--count', type=whole(1), default=10, metavar='N', help='descriptions to ask for (10)')
    add('--options', nargs='+', action=KeyValues, default={}, metavar='KEY=VALUE', help=_OPTIONS)
    add = p.add_argument_group('images').add_argument
    split = 'images to describe (train)'
    add('--split', choices=['train', 'val', 'test', 'all'], default='train', help=split)
    per_class = 'describe N images of each class; a larger N later adds to these'
    add('--per-class', type=whole(1), metavar='N', help=per_class)
    add('--until', type=positive, metavar='X', help=_UNTIL)
    seed = 'seed of the order in which --per-class and --until take images (0)'
    add('--seed', type=int, default=0, metavar='S', help=seed)
    shard = 'describe part i of n of the images'
    add('--shard', type=_shard, default='1/1', metavar='i/n', help=shard)
    add_on(p)
    add = p.add_argument_group('speed and limits').add_argument
    add('--concurrency', type=whole(1), metavar='N', help='requests at a time (openai: 8)')
    batch_size = 'images at a time (hf: 8, minigpt4: 4)'
    add('--batch-size', type=whole(1), metavar='N', help=batch_size)
    pixels = 'reduce larger images to N pixels (openai: 768 at the longest side; hf: not at all)'
    add('--max-pixels', type=whole(1), metavar='N', help=pixels)
    retries = 'how often to ask again after a bad reply or a failed request (3)'
    add('--retries', type=whole(0), default=3, metavar='N', help=retries)
    add('--requests-per-minute', type=positive, metavar='N', help='limit of requests (openai)')
    add('--max-tokens-total', type=whole(1), metavar='N', help='stop before a run takes more')
    add('--price', type=price, metavar='IN,OUT', help='price of a million tokens')
    add(
        '--max-cost', type=positive, metavar='X', help='stop before a run costs more; needs --price'
    )
    add = p.add_argument_group('output').add_argument
    add('--out', type=Path, metavar='FILE', help=_OUT)
    replace = "replace another model's replies"
    add('--replace', action='store_true', help=replace)
    preview = 'describe N images and show what all images take; keep nothing without --out'
    add('--preview', type=whole(1), metavar='N', help=preview)
    add('--clip', metavar='MODEL,WEIGHTS', help='measure the descriptions with a CLIP model')
    add = p.add_argument_group('work on files, without asking a model').add_argument
    add('--check', nargs='?', const=True, metavar='PAGE.html', help=_CHECK)
    add('--merge', nargs='+', type=Path, metavar='FILE', help='merge these files into --out')
    add('--reparse', action='store_true', help='parse the kept replies again')
    add('--batch-write', type=Path, metavar='FILE', help=_BATCH)
    add('--batch-read', type=Path, nargs='+', metavar='FILE', help='keep the answers of a batch')
    return p


def main() -> None:
    """Describe images as the command line says."""
    args = parser().parse_args()
    from .describe_run import run

    if code := run(args):
        sys.exit(code)
