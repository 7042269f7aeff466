"""A drawing surface in unit coordinates, and the colours that scenes are made of."""

import math
from collections.abc import Sequence
from random import Random

from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

SIDE = 128  # pixels of a finished picture; drawn at twice that

COLOURS: dict[str, Colour] = {
    'red': (205, 45, 45),
    'orange': (236, 134, 34),
    'yellow': (240, 208, 62),
    'green': (52, 138, 70),
    'blue': (48, 92, 190),
    'purple': (124, 66, 158),
    'pink': (238, 136, 176),
    'white': (242, 242, 238),
    'black': (38, 36, 40),
    'grey': (132, 134, 138),
    'brown': (122, 80, 48),
}


def vary(colour: Colour, rng: Random, by: int = 14) -> Colour:
    """A shade of a colour: one step for brightness, a smaller one for each channel."""
    step = rng.uniform(-by, by)
    r, g, b = (round(min(255, max(0, c + step + rng.uniform(-by, by) / 2))) for c in colour)
    return r, g, b


def darker(colour: Colour, by: float = 0.78) -> Colour:
    """The same colour in shade."""
    r, g, b = (round(c * by) for c in colour)
    return r, g, b


def along(start: Point, angle: float, length: float) -> Point:
    """The point ``length`` away; the angle in degrees, 0 to the right and 90 up."""
    radians = math.radians(angle)
    return start[0] + length * math.cos(radians), start[1] - length * math.sin(radians)


class Canvas:
    """Pillow's ImageDraw with x to the right and y down, both from 0 to 1."""

    def __init__(self, fill: Colour):
        self.image = Image.new('RGB', (2 * SIDE, 2 * SIDE), fill)
        self._draw = ImageDraw.Draw(self.image)

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        return [(x * 2 * SIDE, y * 2 * SIDE) for x, y in points]

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A stroke with round joints and ends; the width in units of the side."""
        pixels = self._pixels(points)
        thick = max(1, round(width * 2 * SIDE))
        self._draw.line(pixels, fill=colour, width=thick, joint='curve')
        if thick > 3:
            for x, y in (pixels[0], pixels[-1]):
                r = thick / 2
                self._draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def disc(self, centre: Point, radius: float, colour: Colour, squeeze: float = 1.0) -> None:
        """A disc, or an ellipse ``squeeze`` times as high as wide."""
        x, y = centre
        corners = self._pixels(
            [(x - radius, y - radius * squeeze), (x + radius, y + radius * squeeze)]
        )
        self._draw.ellipse([*corners[0], *corners[1]], fill=colour)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        self._draw.polygon(self._pixels(points), fill=colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """A filled rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def finished(self, tint: Colour = (255, 255, 255)) -> Image.Image:
        """The picture at its final size, under light of colour ``tint``."""
        image = self.image.reduce(2)
        bands = [
            band.point([v * t // 255 for v in range(256)])
            for band, t in zip(image.split(), tint, strict=True)
        ]
        return Image.merge('RGB', bands)
