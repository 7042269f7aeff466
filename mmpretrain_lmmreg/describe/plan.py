"""What is asked of whom, and the limits: parsed once, then handed on unchanged."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..descriptions.samples import default_prompt
from ..errors import InputError
from .describers import KINDS, NAMES, Describer, build_describer


@dataclass(frozen=True)
class DescribePlan:
    """How images are described.

    Args:
        describer: Who is asked: ``'openai'``, ``'hf'`` or ``'minigpt4'``.
        model: Its name, folder, or (minigpt4) config.
        prompt: What is asked; by default the paper's prompt for ``count`` descriptions, and for
            one a sentence. ``{class}`` stands for the name of the image's class.
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
        >>> plan = DescribePlan('openai', 'qwen2.5-vl', count=3, max_cost=5, price=(0.15, 0.6))
        >>> plan.prompt
        'Give 3 semantic descriptions for the image'
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
            object.__setattr__(self, 'prompt', default_prompt(self.count))
        price = self.price or (0, 0)
        if not all(0 <= each < math.inf for each in price) or (self.max_cost and not any(price)):
            raise InputError(
                f'--price {price[0]:g},{price[1]:g}: give what a million tokens cost, two numbers '
                'such as --price 0.15,0.60; --max-cost needs it',
                code='describe.price',
            )

    @property
    def limits(self) -> list[tuple[str, float, tuple[float, float]]]:
        """What a run may take: the option, how much, and how much a token in and one out take."""
        tokens = self.max_tokens_total and ('--max-tokens-total', self.max_tokens_total, (1, 1))
        cost = self.max_cost and self.price and ('--max-cost', 1e6 * self.max_cost, self.price)
        return [limit for limit in (tokens, cost) if limit]

    def build(self, **more: Any) -> Describer:
        """The describer; ``offline=True`` where requests are written and not sent."""
        names = ('batch_size', 'concurrency', 'max_pixels', 'requests_per_minute')
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        common = dict(model=self.model, retries=self.retries, count=self.count)
        return build_describer(self.describer, self.options, **common, **given, **more)
