"""Images known by their pixels, asked about from Python."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from ..datasets.pictures import PIXELS, pixel_key, to_rgb
from ..descriptions.lines import Record
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from .plan import DescribePlan
from .run import opened
from .state import Tally
from .tasks import Loaded, Task


@dataclass(frozen=True)
class Described:
    """What :func:`describe_images` found.

    Attributes:
        keys: Of each image, as the store has them.
        records: Of each image: its record in the store, or None where a limit ended the run
            before. A record has ``descriptions`` and ``status``.
        tally: What was asked, and what it took.
    """

    keys: list[str]
    records: list[Record | None]
    tally: Tally

    @property
    def descriptions(self) -> list[list[str]]:
        """Descriptions of each image; an empty list where there are none."""
        return [record['descriptions'] if record else [] for record in self.records]


def describe_images(
    images: Iterable[str | os.PathLike | Image.Image | NDArray],
    plan: DescribePlan,
    store: str | os.PathLike,
    report: Callable[[Tally], None] = lambda tally: None,
    prompts: Sequence[str] | None = None,
    tally: Tally | None = None,
) -> Described:
    """Ask about images, and keep the replies in a store of their own.

    An image is known by the sha256 of its pixels, so neither its name nor its place matters, and
    no image is asked about twice. A run that was stopped continues with the same call. All limits
    of the plan hold for the call.

    Args:
        images: N paths, PIL images, or uint8 arrays (H, W, 3) in RGB.
        plan: What is asked of whom. Its prompt must not name a class.
        store: A descriptions file; made where it is not there.
        report: Called with the tally after each image.
        prompts: One for each image, in place of the plan's; those of one prompt are asked together.
        tally: Goes on where other calls have ended, so that limits hold for all.

    Raises:
        InputError: An image cannot be read; the endpoint refuses, or no image is answered. Replies
            until then are kept.

    Example:
        >>> plan = DescribePlan('openai', 'qwen2.5-vl', count=1, max_cost=1, price=(0.15, 0.6))
        >>> found = describe_images(['a.jpg', array], plan, 'asked.jsonl')  # doctest: +SKIP
        >>> found.descriptions  # doctest: +SKIP
        [['A dog runs on a beach.'], ['Two people climb a wall.']]
    """
    sources = list(images)
    try:
        keys = [pixel_key(source) for source in sources]
    except ValueError as error:
        raise InputError(str(error), code='describe.image') from None
    by_key = dict(zip(keys, sources, strict=True))

    def load(key: str, prepare: Callable, wanted: Callable) -> Loaded:
        sha256 = key.removeprefix(PIXELS)
        return Loaded(sha256, prepare(to_rgb(by_key[key])) if wanted(sha256) else None)

    prompts = prompts or [plan.prompt] * len(keys)
    tally, describer = tally or Tally(), plan.build()
    options: dict[str, Any] = dict(describer=describer, load=load, report=report, tally=tally)
    for prompt in dict.fromkeys(prompts):
        asked = dict.fromkeys(key for key, own in zip(keys, prompts, strict=True) if own == prompt)
        with opened(replace(plan, prompt=prompt), Path(store), **options) as run:
            run([Task(key, key) for key in asked])
    if not keys:
        return Described([], [], tally)
    kept = DescriptionStore(store)
    return Described(keys, [kept.record(*key) for key in zip(keys, prompts, strict=True)], tally)
