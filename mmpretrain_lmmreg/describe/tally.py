"""What a run did and what it took, and the tokens that it may take."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..descriptions.parse import STATUSES
from ..errors import InputError
from .describers import Answer


@dataclass
class Tally:
    """What a run did: images by the best status of their replies, and what that took."""

    statuses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    kept: int = 0  # images that needed no asking
    shared: int = 0  # images with the content of another one, whose replies are theirs, too
    answers: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    uncounted: int = 0  # answers whose tokens nobody counted
    cut: int = 0  # answers that a token limit ended
    busy: float = 0  # seconds that calls of the describer took, those at the same time added up
    last_error: str = ''
    spent: str = ''  # the option whose limit ended the run

    @property
    def asked(self) -> int:
        """Images that were asked about."""
        return sum(self.statuses.values())

    def add(self, answer: Answer) -> None:
        """Count an answer's tokens."""
        self.answers += 1
        self.tokens_in += answer.tokens_in or 0
        self.tokens_out += answer.tokens_out or 0
        self.uncounted += answer.tokens_in is None or answer.tokens_out is None
        self.cut += answer.finish == 'truncated'

    def include(self, other: 'Tally') -> None:
        """Add up with another run of the same command."""
        for status, count in other.statuses.items():
            self.statuses[status] += count
        for name in (
            *('kept', 'shared', 'answers', 'tokens_in', 'tokens_out', 'uncounted', 'cut', 'busy'),
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.last_error = other.last_error or self.last_error


@dataclass(frozen=True)
class Limit:
    """What runs may take, in tokens or at a price.

    Attributes:
        option: That sets it.
        most: So much.
        price: Of a token in, and of one out.
    """

    option: str
    most: float
    price: tuple[float, float] = (1, 1)

    def taken(self, tally: Tally) -> float:
        """How much of it runs have taken."""
        return tally.tokens_in * self.price[0] + tally.tokens_out * self.price[1]


@dataclass
class Budget:
    """The limits of a run, of which ``earlier`` ones have taken a part."""

    limits: Sequence[Limit]
    tally: Tally
    earlier: Tally
    pending: int = 0  # images that are being asked about

    def exceeded(self, images: int) -> str:
        """The option whose limit so many more would pass if they take what others took; or ''.

        Raises:
            InputError: The endpoint does not count tokens.
        """
        tally = self.tally
        counted = max(tally.answers - tally.uncounted, 1)
        for limit in self.limits:
            if tally.uncounted and not tally.tokens_out:
                raise InputError(
                    f'{limit.option}: the endpoint does not say how many tokens it took, so leave '
                    'the option out'
                )
            own = limit.taken(tally)
            taken, more = own + limit.taken(self.earlier), own / counted * (self.pending + images)
            if taken >= limit.most or taken + more > limit.most:
                return limit.option
        return ''
