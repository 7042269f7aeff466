"""Images known by their pixels, asked about from Python."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import NDArray
from PIL import Image

from ..datasets.pictures import to_rgb
from ..descriptions.lines import RANKS, Record, scan
from ..descriptions.store import complete
from ..errors import InputError
from .plan import DescribePlan
from .run import opened
from .state import Tally
from .tasks import Loaded, Task

_PREFIX = 'sha256:'


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
    keys = [pixel_key(source) for source in sources]
    by_key = dict(zip(keys, sources, strict=True))

    def load(key: str, prepare: Callable, wanted: Callable) -> Loaded:
        sha256 = key.removeprefix(_PREFIX)
        return Loaded(sha256, prepare(to_rgb(by_key[key])) if wanted(sha256) else None)

    best: dict[str, Record] = {}
    with opened(plan, Path(store), load=load, report=report) as run:
        tally = run([Task(key, key) for key in by_key])
        for _, line in scan(Path(store)):
            if line['image'] in by_key and run.answered.counts(line):
                record = complete(line)
                old = best.setdefault(record['image'], record)
                if RANKS[record['status']] <= RANKS[old['status']]:
                    best[record['image']] = record
    return Described(keys, [best.get(key) for key in keys], tally)


def pixel_key(image: str | os.PathLike | Image.Image | NDArray) -> str:
    """The name of an image's content: ``sha256:`` and the digest of its size and RGB pixels.

    Raises:
        InputError: It cannot be read, or is no image.

    Example:
        >>> pixel_key(Image.new('RGB', (3, 2)))[:19]
        'sha256:632ef0513cf8'
    """
    try:
        rgb = to_rgb(image)
    except Exception as error:  # decoders raise whatever a broken file provokes
        name = 'an image' if isinstance(image, Image.Image) or hasattr(image, 'dtype') else image
        raise InputError(f'{name} cannot be read: {error}', code='describe.image') from None
    digest = hashlib.sha256(f'{rgb.width}x{rgb.height}\n'.encode())
    digest.update(rgb.tobytes())
    return _PREFIX + digest.hexdigest()
