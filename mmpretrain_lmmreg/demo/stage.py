"""What the drawing of an action consists of: a pose, and things behind and before the person."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from .canvas import Canvas, Colour, Point
from .figures import Joints, Pose, View

STAND = ((-100.0, -95.0), (-78.0, -92.0))
WIDE = ((-122.0, -105.0), (-58.0, -82.0))


@dataclass
class Kit:
    """What a drawing function works with; ``line`` and ``disc`` take scene coordinates."""

    canvas: Canvas
    at: Joints
    view: View
    variant: str
    colour: Colour
    rng: Random

    def line(self, points: list[Point], colour: Colour, width: float) -> None:
        """Draw a line through points of the scene."""
        self.canvas.line([self.view(p) for p in points], colour, width * self.view.size)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Draw a disc."""
        self.canvas.disc(self.view(centre), radius * self.view.size, colour)

    def polygon(self, points: list[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self.canvas.polygon([self.view(p) for p in points], colour)


def nothing(kit: Kit) -> None:
    """An action without anything to draw on this side of the person."""


@dataclass(frozen=True)
class Action:
    """How an action is drawn; in ``airborne`` variants the person hangs anywhere, else stands."""

    variants: tuple[str, ...]
    pose: Callable[[str, Random], Pose]
    behind: Callable[[Kit], None] = nothing
    front: Callable[[Kit], None] = nothing
    airborne: tuple[str, ...] = ()
