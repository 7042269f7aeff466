"""What a run did and what it took, and the tokens that it may take."""

from dataclasses import dataclass, field

from ..descriptions.parse import STATUSES
from ..errors import InputError
from .describers import Answer


@dataclass
class Tally:
    """What a run did: images by the best status of their replies, and what that took."""

    statuses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    kept: int = 0  # images that needed no asking
    answers: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    uncounted: int = 0  # answers whose tokens nobody counted
    cut: int = 0  # answers that a token limit ended
    busy: float = 0  # seconds that calls of the describer took, those at the same time added up
    last_error: str = ''
    spent: bool = False  # stopped at its budget of tokens

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
        for name in ('kept', 'answers', 'tokens_in', 'tokens_out', 'uncounted', 'cut', 'busy'):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.last_error = other.last_error or self.last_error


@dataclass
class Budget:
    """Tokens, in and out, that a run may take; None is any number."""

    tokens: int | None
    tally: Tally
    pending: int = 0  # images that are being asked about

    def allows(self, images: int) -> bool:
        """Whether so many more fit, if they take what others took on average.

        Raises:
            InputError: The endpoint does not count tokens.
        """
        if self.tokens is None:
            return True
        tally = self.tally
        if tally.uncounted and not tally.tokens_out:
            raise InputError(
                '--max-tokens-total: the endpoint does not say how many tokens it took, so leave '
                'the option out'
            )
        used = tally.tokens_in + tally.tokens_out
        each = used / max(tally.answers - tally.uncounted, 1)
        return used < self.tokens and used + each * (self.pending + images) <= self.tokens
