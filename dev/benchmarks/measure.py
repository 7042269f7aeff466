"""Timing in turns, and the rows of the table that comes out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median


@dataclass
class Row:
    """A figure beside its rival's or limit's.

    Attributes:
        name: What tools read the row by.
        what: What was measured, and against what, in words with units.
        measured: Our figure.
        against: The rival's figure, or the limit.
        ratio: The quotient that ``target`` is about.
        target: What the ratio has to reach on two idle cores with fast bfloat16; a number with
            ``at_least`` False is not to be passed.
        correct: What has to hold, and whether it does.
        not_judged: Why the target says nothing where this was measured, or ''.
    """

    name: str
    what: str
    measured: float
    against: float
    ratio: float
    target: float
    correct: dict[str, bool]
    at_least: bool = True
    not_judged: str = ''

    @property
    def goal(self) -> str:
        """The target in a table, and whether it was reached."""
        verdict = f'not judged: {self.not_judged}' if self.not_judged else self._verdict
        return f'{"≥" if self.at_least else "≤"} {self.target:g}, {verdict}'

    @property
    def reached(self) -> bool | None:
        """Whether the ratio reaches the target; None where that is not judged."""
        if self.not_judged:
            return None
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target

    @property
    def _verdict(self) -> str:
        return 'reached' if self.reached else 'not reached'

    def as_json(self, machine: dict) -> dict:
        """All of it, JSON-able, with the machine that it was measured on."""
        return dict(asdict(self), judged=not self.not_judged, reached=self.reached, machine=machine)


def in_turns(
    tasks: Mapping[str, Callable[[], object]], repeats: int, warm_up: bool = True
) -> dict[str, float]:
    """Median seconds of each task over ``repeats`` rounds, in each of which all take turns."""
    seconds = {name: [] for name in tasks}
    for turn in range(warm_up + repeats):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return {name: median(times) for name, times in seconds.items()}


def markdown(rows: list[Row]) -> str:
    """The rows as a table."""
    lines = [
        '| what | measured | against | ratio | target | correct |',
        '|---|---|---|---|---|---|',
    ]
    for row in rows:
        correct = '; '.join(
            f'{what}: {"yes" if holds else "**NO**"}' for what, holds in row.correct.items()
        )
        figures = (_figure(value) for value in (row.measured, row.against, row.ratio))
        cells = (f'{row.what} (`{row.name}`)', *figures, row.goal, correct)
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _figure(value: float) -> str:
    return f'{value:.4g}'
