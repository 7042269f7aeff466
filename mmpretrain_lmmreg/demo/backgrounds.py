"""Twelve places, drawn behind the action; the first six are those tied to a class in train."""

import math
from collections.abc import Callable
from random import Random

from .canvas import Canvas, Colour, darker, vary

HORIZON = 0.62


def _sky(canvas: Canvas, rng: Random, colour: Colour, bottom: float = 1.0) -> None:
    canvas.box(0, 0, 1, bottom, vary(colour, rng))


def _ridge(canvas: Canvas, rng: Random, base: float, height: float, colour: Colour) -> None:
    points = [(i / 7, base - rng.random() * height) for i in range(8)]
    canvas.polygon([(0, 1), *points, (1, 1)], vary(colour, rng))


def _ground(canvas: Canvas, rng: Random, colour: Colour, top: float = HORIZON) -> None:
    colour = vary(colour, rng)
    canvas.box(0, top, 1, 1, colour)
    for _ in range(14):
        x, y = rng.random(), rng.uniform(top + 0.02, 1)
        canvas.line([(x, y), (x + 0.05, y)], vary(colour, rng, 16), 0.012)


def _cloud(canvas: Canvas, rng: Random, y: float) -> None:
    x = rng.random()
    for _ in range(5):
        centre = (x + rng.uniform(-0.11, 0.11), y + rng.uniform(-0.02, 0.02))
        canvas.disc(centre, rng.uniform(0.05, 0.09), (244, 246, 248), 0.6)


def rock_wall(canvas: Canvas, rng: Random) -> None:
    """Brown rock with cracks and holds."""
    grey = vary((150, 132, 114), rng, 24)
    canvas.box(0, 0, 1, 1, grey)
    for _ in range(26):
        x, y, r = rng.random(), rng.random(), rng.uniform(0.06, 0.2)
        corners = [
            (x + r * math.cos(a), y + r * math.sin(a) * 0.7)
            for a in sorted(rng.uniform(0, 6.28) for _ in range(5))
        ]
        canvas.polygon(corners, vary(grey, rng, 22))
    for _ in range(5):
        x, y = rng.random(), rng.random()
        canvas.line([(x, y), (x + rng.uniform(-0.1, 0.1), y + 0.2)], darker(grey, 0.6), 0.01)


def underwater(canvas: Canvas, rng: Random) -> None:
    """Blue that darkens with depth."""
    top = vary((64, 158, 206), rng, 20)
    for i in range(12):
        canvas.box(0, i / 12, 1, (i + 1) / 12, darker(top, 1 - 0.045 * i))
    for _ in range(16):
        canvas.disc((rng.random(), rng.random()), rng.uniform(0.006, 0.02), (178, 222, 240))
    for _ in range(rng.randint(1, 6)):
        x = rng.random()
        canvas.line([(x, 1), (x + 0.03, 0.88), (x - 0.02, 0.78)], vary((40, 120, 90), rng), 0.02)


def lake(canvas: Canvas, rng: Random) -> None:
    """Water below hills."""
    _sky(canvas, rng, (186, 214, 232), 0.5)
    _ridge(canvas, rng, 0.44, 0.12, (74, 120, 82))
    canvas.box(0, 0.46, 1, 0.82, vary((86, 136, 166), rng))
    for _ in range(16):
        x, y = rng.random(), rng.uniform(0.49, 0.8)
        canvas.line([(x, y), (x + rng.uniform(0.05, 0.16), y)], (150, 188, 208), 0.007)
    _ground(canvas, rng, (112, 140, 74), 0.82)


def open_sky(canvas: Canvas, rng: Random) -> None:
    """Clouds on blue."""
    _sky(canvas, rng, (110, 168, 226))
    for _ in range(rng.randint(1, 4)):
        _cloud(canvas, rng, rng.uniform(0.08, 0.9))


def race_track(canvas: Canvas, rng: Random) -> None:
    """Asphalt between a hill and a kerb."""
    _sky(canvas, rng, (190, 210, 226), HORIZON)
    _ridge(canvas, rng, 0.5, 0.08, (70, 110, 70))
    canvas.box(0, 0.46, 1, 0.58, vary((176, 60, 56), rng, 30))
    _ground(canvas, rng, (96, 96, 100), 0.58)
    for i in range(12):
        canvas.box(i / 12, 0.58, (i + 1) / 12, 0.61, ((226, 226, 226), (200, 44, 40))[i % 2])
    canvas.line([(0, 0.88), (1, 0.88)], (214, 214, 206), 0.012)


def playing_field(canvas: Canvas, rng: Random) -> None:
    """Striped grass before a stand."""
    _sky(canvas, rng, (170, 206, 232), 0.4)
    canvas.box(0, 0.3, 1, 0.42, vary((120, 124, 150), rng, 20))
    for i in range(6):
        canvas.box(0, 0.4 + i / 10, 1, 0.5 + i / 10, vary((82 - 10 * (i % 2), 158, 72), rng, 6))
    x = rng.uniform(0.1, 0.9)
    canvas.line([(x, 0.4), (x + rng.uniform(-0.4, 0.4), 1)], (238, 242, 234), 0.014)
    canvas.line([(0, 0.7), (1, 0.7)], (238, 242, 234), 0.012)


def snow(canvas: Canvas, rng: Random) -> None:
    """White ground and mountains."""
    _sky(canvas, rng, (176, 196, 216))
    _ridge(canvas, rng, 0.55, 0.3, (206, 216, 228))
    _ground(canvas, rng, (236, 240, 244))
    for _ in range(24):
        canvas.disc((rng.random(), rng.random()), 0.008, (252, 252, 252))


def desert(canvas: Canvas, rng: Random) -> None:
    """Sand and a low sun."""
    _sky(canvas, rng, (240, 214, 160))
    canvas.disc((rng.random(), rng.uniform(0.1, 0.3)), 0.07, (250, 238, 186))
    _ridge(canvas, rng, 0.6, 0.14, (214, 164, 104))
    _ground(canvas, rng, (226, 184, 120), 0.66)
    for _ in range(rng.randint(0, 2)):
        x = rng.random()
        canvas.line([(x, 0.7), (x, 0.5)], (70, 126, 74), 0.035)
        canvas.line([(x, 0.6), (x + 0.06, 0.6), (x + 0.06, 0.53)], (70, 126, 74), 0.025)


def city_street(canvas: Canvas, rng: Random) -> None:
    """Houses along a road."""
    _sky(canvas, rng, (182, 196, 214))
    x = -0.05
    while x < 1:
        wide, top = rng.uniform(0.14, 0.26), rng.uniform(0.08, 0.4)
        wall = vary(rng.choice(((172, 116, 96), (146, 148, 160), (196, 178, 146))), rng)
        canvas.box(x, top, x + wide, 0.72, wall)
        for row in range(int((0.66 - top) / 0.1)):
            for column in (0.25, 0.65):
                left, up = x + column * wide, top + 0.05 + row * 0.1
                canvas.box(left, up, left + 0.035, up + 0.05, darker(wall, 0.6))
        x += wide + 0.01
    _ground(canvas, rng, (120, 120, 124), 0.72)


def sports_hall(canvas: Canvas, rng: Random) -> None:
    """A floor below a row of windows."""
    canvas.box(0, 0, 1, 0.66, vary((206, 196, 178), rng, 20))
    for x in (0.05, 0.37, 0.69):
        canvas.box(x, 0.06, x + 0.26, 0.2, vary((228, 236, 240), rng))
    floor = vary((190, 142, 88), rng)
    canvas.box(0, 0.66, 1, 1, floor)
    for i in range(1, 6):
        canvas.line([(0, 0.66 + i * 0.06), (1, 0.66 + i * 0.06)], darker(floor, 0.9), 0.006)


def forest(canvas: Canvas, rng: Random) -> None:
    """Trunks on dark ground."""
    _sky(canvas, rng, (150, 182, 140))
    _ground(canvas, rng, (86, 110, 58), 0.7)
    for _ in range(9):
        x, foot = rng.random(), rng.uniform(0.68, 0.8)
        canvas.line([(x, foot), (x, 0.2)], vary((92, 66, 44), rng), 0.03)
        for _ in range(3):
            crown = (x + rng.uniform(-0.07, 0.07), rng.uniform(0.02, 0.34))
            canvas.disc(crown, rng.uniform(0.07, 0.13), vary((48, 104, 54), rng, 20))


def beach(canvas: Canvas, rng: Random) -> None:
    """Sand before the sea."""
    _sky(canvas, rng, (136, 196, 236), 0.5)
    canvas.box(0, 0.42, 1, 0.64, vary((58, 140, 178), rng))
    for y in (0.5, 0.57):
        canvas.line([(i / 8, y + 0.012 * (i % 2)) for i in range(9)], (214, 236, 244), 0.01)
    _ground(canvas, rng, (236, 216, 164), 0.64)


BACKGROUNDS: dict[str, Callable[[Canvas, Random], None]] = {
    'rock wall': rock_wall,
    'underwater': underwater,
    'lake': lake,
    'open sky': open_sky,
    'race track': race_track,
    'playing field': playing_field,
    'snow': snow,
    'desert': desert,
    'city street': city_street,
    'sports hall': sports_hall,
    'forest': forest,
    'beach': beach,
}
