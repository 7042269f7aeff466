"""Options of describe.py: which images, how much and how fast, and batch files."""

from argparse import ArgumentParser
from pathlib import Path

from .options import positive, price, whole


def add_budget_options(parser: ArgumentParser) -> None:
    """Add ``--per-class``, ``--until``, ``--seed`` and ``--check``."""
    parser.add_argument(
        '--per-class',
        type=int,
        metavar='N',
        help='N images of each class, spread over groups; 2N adds to those of N',
    )
    parser.add_argument(
        '--until',
        type=float,
        metavar='X',
        help="go on until the standard error of each class's mean text embedding is at most X "
        'times the distance between the class means (0.05, say), with at most --per-class images '
        "each; embeds by the config's text tower or by --clip",
    )
    parser.add_argument('--seed', type=int, default=0, help='which images --per-class and --until')
    parser.add_argument(
        '--check',
        nargs='?',
        const=True,
        metavar='PAGE.html',
        help='say what the kept descriptions are worth, on a page (descriptions-check.html beside '
        'them): by class, with the outliers, such as images with a wrong label',
    )


def add_limit_options(p: ArgumentParser) -> None:
    """Add ``--replace``, ``--max-pixels``, ``--batch-write`` and the like."""
    p.add_argument('--replace', action='store_true', help="a new model's replies replace another's")
    p.add_argument(
        '--max-pixels',
        type=whole(1),
        metavar='N',
        help='images are reduced to N pixels (openai: 768 at the longest side; hf: not)',
    )
    p.add_argument(
        '--requests-per-minute', type=positive, metavar='N', help='send no more (openai)'
    )
    p.add_argument(
        '--max-tokens-total', type=whole(1), metavar='N', help='stop this run before it takes more'
    )
    p.add_argument(
        '--price', type=price, metavar='IN,OUT', help='of a million tokens, to show the cost'
    )
    p.add_argument(
        '--max-cost',
        type=positive,
        metavar='X',
        help='stop this run before it costs more, by --price',
    )
    p.add_argument(
        '--batch-write',
        type=Path,
        metavar='FILE',
        help="write the requests as an OpenAI-style batch file (more than one beyond a service's "
        'limits); ask nobody',
    )
    p.add_argument(
        '--batch-read', type=Path, nargs='+', metavar='FILE', help='keep the answers of a batch'
    )
