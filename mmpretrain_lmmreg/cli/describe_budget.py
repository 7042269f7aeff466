"""Which images describe.py asks about, and what the descriptions are worth."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from ..describe.images import ConfigImages
from ..describe.loading import Task
from ..errors import InputError
from ..io.printing import plain


def check_budget(args: Namespace) -> None:
    """Refuse numbers and combinations that mean nothing.

    Raises:
        InputError: Names the option.
    """
    if args.per_class is not None and args.per_class < 1:
        raise InputError(f'--per-class {args.per_class}: give at least 1 image')
    if args.until is None:
        return
    if not args.until > 0:
        raise InputError(f'--until {args.until:g}: give a number above 0, such as 0.05')
    if not args.describer:
        raise InputError('--until asks: say who describes, by --describer minigpt4, hf or openai')
    if args.preview or args.shard != '1/1':
        other = '--preview' if args.preview else '--shard'
        raise InputError(f'--until looks at all classes after each round: leave {other} out')


def chosen(args: Namespace, config: Config, images: ConfigImages) -> Sequence[Task]:
    """The images to be asked about: all of ``images``, or those of ``--per-class``.

    The choice is made among the images of all shards, so that each shard has a part of it.
    """
    if args.per_class is None:
        return images
    from ..describe.until import choose  # loads the text tower's parts

    everything = images if args.shard == '1/1' else ConfigImages(config, args.split)
    names = {task.image for task in choose(everything, args.per_class, args.seed)}
    return [task for task in images if task.image in names]


def describe_until(args: Namespace, config: Config, images: ConfigImages, ask, out: Path, prompt):
    """Ask in rounds, see :class:`Convergence`; ``ask`` takes a list of tasks."""
    from ..describe.towers import text_tower
    from ..describe.until import Convergence

    tower = text_tower(config, args.clip)
    limit, seed = args.per_class, args.seed
    Convergence(images, images.classes, args.until, limit, seed, tower).run(ask, out, prompt)


def write_check(args: Namespace, config: Config, images: ConfigImages, out: Path, prompt) -> None:
    """Print what the descriptions are worth; write the page, and the figures for reports.

    Raises:
        InputError: What :func:`check` raises; a package is missing.
    """
    try:
        from ..describe.check import check
        from ..describe.check_page import write_page
        from ..describe.check_summary import summary_path, write_summary
    except ModuleNotFoundError as error:
        raise InputError(
            f"--check needs more packages ({error}): pip install 'mmpretrain_lmmreg[evidence]'"
        ) from None
    path = out.with_name('descriptions-check.html') if args.check is True else Path(args.check)
    found = check(config, images, out, prompt, args.clip)
    print(plain(found))
    write_page(found, path)
    write_summary(found, summary_path(out))
    print(f'page          {path}')
