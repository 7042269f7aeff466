"""A person as a jointed flat figure: a pose is a set of angles, a look a set of colours."""

import math
from dataclasses import dataclass
from random import Random

from .canvas import COLOURS, Canvas, Colour, Point, along, darker

# Lengths in heights of a standing person.
TORSO, HEAD, UPPER_ARM, FOREARM, THIGH, SHIN = 0.30, 0.085, 0.16, 0.16, 0.22, 0.22
SKINS: tuple[Colour, ...] = ((244, 208, 178), (224, 172, 130), (176, 118, 80), (112, 72, 50))
HAIRS = ('black', 'brown', 'yellow', 'red', 'grey')


@dataclass(frozen=True)
class Pose:
    """Directions of the body's parts in degrees, for a person who faces right.

    ``arms`` and ``legs``: the far limb first, each (upper, lower).
    """

    torso: float
    arms: tuple[tuple[float, float], tuple[float, float]]
    legs: tuple[tuple[float, float], tuple[float, float]]

    def jittered(self, rng: Random, by: float) -> 'Pose':
        """The pose with every angle moved by up to ``by`` degrees."""

        def move(angle: float) -> float:
            return angle + rng.uniform(-by, by)

        def both(limbs):
            return tuple((move(a), move(b)) for a, b in limbs)

        return Pose(move(self.torso), both(self.arms), both(self.legs))


@dataclass(frozen=True)
class Look:
    """What a person wears; colours by name, the skin by its index in ``SKINS``."""

    person: str
    shirt: str
    trousers: str
    hair: str
    skin: int
    headwear: str | None


@dataclass(frozen=True)
class View:
    """How the scene's own coordinates (heights, y down, hip at 0) come onto the canvas."""

    x: float
    y: float
    size: float
    tilt: float
    flip: bool

    def __call__(self, point: Point) -> Point:
        """A point of the scene on the canvas."""
        a = math.radians(self.tilt)
        x, y = point
        x = -x if self.flip else x
        return (
            self.x + self.size * (x * math.cos(a) - y * math.sin(a)),
            self.y + self.size * (x * math.sin(a) + y * math.cos(a)),
        )


@dataclass(frozen=True)
class Joints:
    """Where a pose puts the body's joints, in the scene's own coordinates."""

    neck: Point
    head: Point
    elbows: tuple[Point, ...]  # two of each
    hands: tuple[Point, ...]
    knees: tuple[Point, ...]
    feet: tuple[Point, ...]


def joints(pose: Pose) -> Joints:
    """Joint positions of a pose, the hip at (0, 0)."""
    neck = along((0, 0), pose.torso, TORSO)
    elbows = tuple(along(neck, arm[0], UPPER_ARM) for arm in pose.arms)
    knees = tuple(along((0, 0), leg[0], THIGH) for leg in pose.legs)
    return Joints(
        neck=neck,
        head=along(neck, pose.torso, HEAD * 1.25),
        elbows=elbows,
        hands=tuple(along(e, arm[1], FOREARM) for e, arm in zip(elbows, pose.arms, strict=True)),
        knees=knees,
        feet=tuple(along(k, leg[1], SHIN) for k, leg in zip(knees, pose.legs, strict=True)),
    )


def draw_person(canvas: Canvas, pose: Pose, look: Look, view: View) -> None:
    """Draw far limbs, trunk, head, near limbs, in this order."""
    at, skin = joints(pose), SKINS[look.skin]
    shirt, trousers = COLOURS[look.shirt], COLOURS[look.trousers]
    size = view.size

    def limb(points: tuple[Point, ...], colour: Colour, width: float) -> None:
        canvas.line([view(p) for p in points], colour, width * size)

    def arm(side: int, shade: float) -> None:
        limb((at.neck, at.elbows[side]), darker(shirt, shade), 0.075)
        limb((at.elbows[side], at.hands[side]), darker(skin, shade), 0.058)

    def leg(side: int, shade: float) -> None:
        limb(((0, 0), at.knees[side], at.feet[side]), darker(trousers, shade), 0.095)
        toe = along(at.feet[side], pose.legs[side][1] + 80, 0.06)
        limb((at.feet[side], toe), COLOURS['black'], 0.06)

    arm(0, 0.78)
    leg(0, 0.78)
    leg(1, 1.0)
    limb(((0, 0), at.neck), shirt, 0.17)
    _draw_head(canvas, at, pose, look, view)
    arm(1, 0.94)


def _draw_head(canvas: Canvas, at: Joints, pose: Pose, look: Look, view: View) -> None:
    size, hair = view.size, COLOURS[look.hair]
    back = along(at.head, pose.torso + 60, HEAD * 0.35)
    if look.person == 'woman':  # long hair falls behind the neck
        canvas.line([view(back), view(along(back, pose.torso + 165, 0.15))], hair, 0.07 * size)
    canvas.disc(view(back), HEAD * size, hair)
    canvas.disc(view(at.head), HEAD * 0.92 * size, SKINS[look.skin])
    if look.headwear:
        colour = COLOURS['white' if look.headwear == 'helmet' else look.shirt]
        top = along(at.head, pose.torso + 15, HEAD * 0.5)
        canvas.disc(view(top), HEAD * 0.85 * size, darker(colour, 0.92))
        if look.headwear == 'cap':
            brim = along(top, pose.torso - 80, HEAD * 1.3)
            canvas.line([view(top), view(brim)], darker(colour, 0.8), 0.035 * size)
