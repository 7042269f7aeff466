"""Six more actions, in what the tiny CLIP is pretrained on only; importing makes them drawable."""

from random import Random

from mmpretrain_lmmreg.demo.actions import ACTIONS
from mmpretrain_lmmreg.demo.canvas import along, darker
from mmpretrain_lmmreg.demo.figures import Pose
from mmpretrain_lmmreg.demo.stage import STAND, WIDE, Action, Kit


def _run(variant: str, rng: Random) -> Pose:
    return Pose(
        rng.uniform(70, 85),
        ((-40, 50), (-140, -50)),
        ((-130, rng.uniform(-190, -150)), (rng.uniform(-50, -20), -95)),
    )


def _kick(variant: str, rng: Random) -> Pose:
    return Pose(
        rng.uniform(92, 110),
        ((150, 170), (10, 20)),
        ((-95, -92), (rng.uniform(-35, 0), rng.uniform(-25, 5))),
    )


def _football(kit: Kit) -> None:
    kit.disc(
        along(kit.at.feet[1], kit.rng.uniform(0, 35), kit.rng.uniform(0.1, 0.4)), 0.075, kit.colour
    )


def _lift(variant: str, rng: Random) -> Pose:
    wide = rng.uniform(50, 70)
    return Pose(90, ((180 - wide, 95), (wide, 85)), WIDE)


def _barbell(kit: Kit) -> None:
    (x0, y0), (x1, y1) = kit.at.hands
    kit.line([(x0 - 0.22, y0), (x1 + 0.22, y1)], (190, 192, 196), 0.03)
    for x, y in ((x0 - 0.22, y0), (x1 + 0.22, y1)):
        kit.line([(x, y - 0.12), (x, y + 0.12)], kit.colour, 0.07)


def _jump(variant: str, rng: Random) -> Pose:
    up = rng.uniform(50, 75)
    return Pose(
        90,
        ((180 - up, 110), (up, 70)),
        ((-125, rng.uniform(-160, -100)), (-55, rng.uniform(-100, -40))),
    )


def _sit(variant: str, rng: Random) -> Pose:
    return Pose(rng.uniform(88, 100), ((-80, -20), (-70, -10)), ((-5, -90), (-10, -88)))


def _chair(kit: Kit) -> None:
    kit.line([(-0.12, -0.3), (-0.1, 0.09), (0.15, 0.09)], kit.colour, 0.045)
    for x in (-0.1, 0.14):
        kit.line([(x, 0.09), (x, 0.3)], darker(kit.colour), 0.03)


def _wave(variant: str, rng: Random) -> Pose:
    return Pose(
        rng.uniform(86, 94), ((-105, -95), (rng.uniform(40, 70), rng.uniform(70, 120))), STAND
    )


_EXTRA: dict[str, Action] = {
    'running': Action(('plain',), _run),
    'kicking': Action(('plain',), _kick, front=_football),
    'lifting': Action(('plain',), _lift, front=_barbell),
    'jumping': Action(('plain',), _jump, airborne=('plain',)),
    'sitting': Action(('plain',), _sit, behind=_chair),
    'waving': Action(('plain',), _wave),
}
ACTIONS.update(_EXTRA)
ALL_ACTIONS = ACTIONS
