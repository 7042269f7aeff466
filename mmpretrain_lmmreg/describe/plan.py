"""What is asked of whom, and the limits: parsed once, then handed on unchanged."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..descriptions.samples import CLASS, names_class
from ..errors import InputError
from .describers import KINDS, NAMES, PROMPT, Describer, build_describer


@dataclass(frozen=True)
class DescribePlan:
    """How images are described.

    Args:
        describer: Who is asked: ``'openai'``, ``'hf'`` or ``'minigpt4'``.
        model: Its name, folder, or (minigpt4) config.
        prompt: What is asked; the paper's prompt for ``count`` descriptions by default.
            ``{class}`` stands for the name of the image's class.
        count: Descriptions asked for.
        retries: How often a bad reply, and a failed request, is repeated.
        options: Of the generation, and the describer's own.
        concurrency: Requests at a time (openai: 8).
        batch_size: Images at a time (hf: 8, minigpt4: 4).
        max_pixels: Images are reduced to so many.
        requests_per_minute: Requests are sent no faster than that (openai).
        max_tokens_total: A run stops before it takes more tokens, in and out.
        max_cost: A run stops before it costs more, by ``price``.
        price: Of a million tokens in, and of a million out.
        replace: Replies of another model in the same file are asked for again.

    Raises:
        InputError: A value has no meaning; names the option of the command.

    Example:
        >>> plan = DescribePlan('openai', 'qwen2.5-vl', count=1, max_cost=5, price=(0.15, 0.6))
        >>> plan.prompt
        'Give 1 semantic descriptions for the image'
        >>> plan.limits
        (Limit(option='--max-cost', most=5000000.0, price=(0.15, 0.6)),)
    """

    describer: str = 'openai'
    model: str = ''
    prompt: str = ''
    count: int = 10
    retries: int = 3
    options: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int | None = None
    batch_size: int | None = None
    max_pixels: int | None = None
    requests_per_minute: float | None = None
    max_tokens_total: int | None = None
    max_cost: float | None = None
    price: tuple[float, float] | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        if self.describer not in KINDS:
            raise InputError(
                f'describer {self.describer!r} is unknown: choose {", ".join(NAMES)}',
                code='describe.no_describer',
            )
        if not self.prompt:
            object.__setattr__(self, 'prompt', PROMPT.format(self.count))
        price = self.price or (0, 0)
        if not all(0 <= each < math.inf for each in price):
            raise InputError(
                f'--price {price[0]:g},{price[1]:g}: give two numbers of at least 0',
                code='describe.price',
            )
        if self.max_cost and not any(price):
            raise InputError(
                '--max-cost needs what a million tokens cost: --price 0.15,0.60, say',
                code='describe.price',
            )

    @property
    def limits(self) -> tuple['Limit', ...]:
        """What a run may take."""
        found = []
        if self.max_tokens_total:
            found.append(Limit('--max-tokens-total', self.max_tokens_total))
        if self.max_cost and self.price:
            found.append(Limit('--max-cost', 1e6 * self.max_cost, self.price))
        return tuple(found)

    def build(self, **more: Any) -> Describer:
        """The describer; ``offline=True`` where requests are written and not sent."""
        names = ('batch_size', 'concurrency', 'max_pixels', 'requests_per_minute')
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        common = dict(model=self.model, retries=self.retries, count=self.count)
        return build_describer(self.describer, self.options, **common, **given, **more)


@dataclass(frozen=True)
class Limit:
    """What a run may take.

    Attributes:
        option: That sets it.
        most: So much.
        price: Of a token in, and of one out.
    """

    option: str
    most: float
    price: tuple[float, float] = (1, 1)

    def taken(self, tokens_in: float, tokens_out: float) -> float:
        """How much of it some tokens take."""
        return tokens_in * self.price[0] + tokens_out * self.price[1]


def check_named(prompt: str, split: str, classes: Sequence[str]) -> None:
    """Refuse a prompt with ``{class}`` where it would give the answer away.

    Raises:
        InputError: Another split than ``'train'``; the data set has no class names.
    """
    if not names_class(prompt):
        return
    if split != 'train':
        raise InputError(
            f'--prompt with {CLASS} and --split {split}: the descriptions of test and validation '
            'images would tell their class; only training images may be described by such a prompt',
            code='describe.class_in_prompt',
        )
    if not classes:
        raise InputError(
            f'--prompt with {CLASS}: the data set has no class names',
            code='describe.class_in_prompt',
        )
