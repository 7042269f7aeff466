"""The six actions of the demo."""

from random import Random

from .canvas import COLOURS, Point, along, darker
from .figures import Pose
from .stage import STAND, WIDE, Action, Kit

# climbing -----------------------------------------------------------------------------


def _climb(variant: str, rng: Random) -> Pose:
    high, low = (rng.uniform(75, 115), rng.uniform(70, 110)), (rng.uniform(15, 60), 85)
    bent, straight = (rng.uniform(-25, 15), rng.uniform(-120, -85)), (-105, -90)
    arms = (high, low) if rng.random() < 0.5 else (low, high)
    legs = (bent, straight) if rng.random() < 0.5 else (straight, bent)
    return Pose(rng.uniform(70, 92), arms, legs)


def _holds(kit: Kit) -> None:
    for point in (*kit.at.hands, *kit.at.feet):
        kit.disc((point[0] + 0.03, point[1] + 0.02), 0.045, darker(kit.colour, 0.7))
    if kit.variant == 'rope':
        side = kit.rng.choice((-0.14, 0.14))
        kit.line([(0, 0), (side, -0.35), (side * 1.2, -2.5)], kit.colour, 0.024)


# diving -------------------------------------------------------------------------------


def _dive(variant: str, rng: Random) -> Pose:
    if variant == 'pike':
        torso = rng.uniform(-40, 20)
        folded = torso + rng.uniform(-70, -45)
        return Pose(
            torso,
            ((folded, folded), (folded + 8, folded)),
            ((folded, folded), (folded + 6, folded)),
        )
    down = rng.uniform(-75, -25)
    ahead = down + rng.uniform(-12, 18)
    back = down + 180 + rng.uniform(-15, 20)
    return Pose(down, ((ahead, ahead), (ahead + 7, ahead)), ((back, back), (back - 8, back)))


def _board(kit: Kit) -> None:
    if kit.variant == 'board':
        x = -0.75
        kit.line([(x - 1.2, -0.25), (x + 0.1, -0.25)], kit.colour, 0.06)
        kit.line([(x - 0.6, -0.25), (x - 0.6, 2.5)], darker(kit.colour), 0.05)


def _splash(kit: Kit) -> None:
    if kit.variant == 'splash':
        tip = kit.at.hands[1]
        for _ in range(14):
            drop = along(tip, kit.rng.uniform(20, 160), kit.rng.uniform(0.02, 0.22))
            kit.disc(drop, kit.rng.uniform(0.012, 0.035), (236, 246, 252))


# fishing ------------------------------------------------------------------------------


def _fish(variant: str, rng: Random) -> Pose:
    arm = rng.uniform(-60, -15)
    arms = ((arm, rng.uniform(0, 35)), (arm - 12, rng.uniform(0, 30)))
    if variant == 'stool':
        return Pose(rng.uniform(75, 95), arms, ((-5, -90), (-12, -85)))
    return Pose(rng.uniform(80, 95), arms, STAND)


def _stool(kit: Kit) -> None:
    if kit.variant == 'stool':
        kit.line([(-0.1, 0.07), (0.08, 0.07)], kit.colour, 0.05)
        kit.line([(-0.08, 0.07), (-0.1, 0.24)], darker(kit.colour), 0.03)
        kit.line([(0.06, 0.07), (0.08, 0.24)], darker(kit.colour), 0.03)


def _rod(kit: Kit) -> None:
    hand = kit.at.hands[1]
    lean = kit.rng.uniform(18, 55)
    butt, tip = along(hand, lean + 180, 0.12), along(hand, lean, kit.rng.uniform(0.55, 0.85))
    middle = along(along(hand, lean + 4, 0.4), 0, 0)
    kit.line([butt, hand, middle, tip], COLOURS['brown'], 0.024)
    end = (tip[0] + kit.rng.uniform(-0.02, 0.12), tip[1] + kit.rng.uniform(0.45, 0.85))
    kit.line([tip, end], (250, 250, 250), 0.008)
    if kit.variant == 'catch':
        kit.disc(end, 0.055, kit.colour)
        kit.polygon(
            [end, (end[0] - 0.05, end[1] + 0.11), (end[0] + 0.05, end[1] + 0.11)], kit.colour
        )
    else:
        kit.disc(end, 0.03, (214, 50, 46))


# pole vaulting ------------------------------------------------------------------------


def _vault(variant: str, rng: Random) -> Pose:
    if variant == 'run-up':
        return Pose(rng.uniform(76, 88), ((-70, 20), (-115, 10)), ((-135, -170), (-35, -95)))
    torso = rng.uniform(-115, -75) if variant == 'rising' else rng.uniform(150, 205)
    up = torso + 180 + rng.uniform(-25, 25)
    arm = rng.uniform(-110, -70) if variant == 'clearing' else torso + rng.uniform(-25, 25)
    return Pose(torso, ((arm, arm), (arm + 12, arm)), ((up, up - 10), (up + 20, up)))


def _bar(kit: Kit) -> None:
    if kit.variant != 'run-up':
        height = kit.rng.uniform(0.1, 0.28)
        kit.line([(-1.6, height), (1.6, height)], kit.colour, 0.03)
        x = kit.rng.choice((-0.9, 0.9))
        kit.line([(x, height - 0.1), (x, 3)], (224, 224, 224), 0.035)


def _pole(kit: Kit) -> None:
    hand, wood = kit.at.hands[1], (226, 206, 150)
    if kit.variant == 'run-up':
        lift = kit.rng.uniform(5, 40)
        kit.line([along(hand, lift + 180, 0.35), along(hand, lift, 1.1)], wood, 0.032)
    else:
        lean = kit.rng.uniform(-115, -65)
        bend = kit.rng.uniform(-14, 14)
        middle = along(hand, lean + bend, 0.6)
        kit.line(
            [along(hand, lean + 180, 0.12), hand, middle, along(middle, lean - bend, 0.9)],
            wood,
            0.032,
        )


# racing -------------------------------------------------------------------------------


def _race(variant: str, rng: Random) -> Pose:
    reach = rng.uniform(-35, -10)
    if variant == 'motorbike':
        return Pose(
            rng.uniform(35, 55),
            ((reach - 25, reach), (reach - 30, reach)),
            ((-20, -125), (-25, -120)),
        )
    return Pose(rng.uniform(95, 112), ((reach, 0), (reach - 8, 0)), ((-5, -20), (-8, -25)))


def _wheel(kit: Kit, centre: Point, radius: float) -> None:
    kit.disc(centre, radius, (34, 34, 36))
    kit.disc(centre, radius * 0.45, (176, 178, 182))


def _wheels_behind(kit: Kit) -> None:
    if kit.variant == 'motorbike':
        for x in (-0.34, 0.42):
            _wheel(kit, (x, 0.26), 0.17)
        kit.line([(-0.34, 0.26), (-0.05, 0.12), (0.3, 0.08), (0.42, 0.26)], (70, 70, 74), 0.05)


def _vehicle(kit: Kit) -> None:
    body = kit.colour
    if kit.variant == 'motorbike':
        kit.polygon(
            [(-0.4, 0.0), (-0.05, 0.03), (0.2, -0.06), (0.36, -0.02), (0.26, 0.16), (-0.08, 0.2)],
            body,
        )
        return
    if kit.variant == 'car':
        kit.polygon(
            [(-0.72, 0.2), (-0.74, 0.0), (-0.3, -0.06), (0.25, -0.02), (0.78, 0.1), (0.8, 0.22)],
            body,
        )
        kit.line([(-0.72, -0.12), (-0.5, -0.12)], darker(body, 0.6), 0.05)
        kit.line([(-0.62, -0.12), (-0.62, 0.02)], darker(body, 0.6), 0.03)
        wheels, radius = (-0.45, 0.5), 0.15
    else:
        kit.polygon([(-0.42, 0.16), (-0.4, 0.04), (0.1, 0.06), (0.5, 0.1), (0.56, 0.18)], body)
        wheels, radius = (-0.32, 0.42), 0.11
    for x in wheels:
        _wheel(kit, (x, 0.2), radius)


# throwing -----------------------------------------------------------------------------


def _throw(variant: str, rng: Random) -> Pose:
    back = (rng.uniform(120, 190), rng.uniform(70, 135))
    ahead = (rng.uniform(-25, 35), rng.uniform(-10, 40))
    if rng.random() < 0.3:  # the moment after
        back, ahead = (rng.uniform(10, 60), rng.uniform(0, 50)), (-110, -60)
    return Pose(rng.uniform(75, 110), (ahead, back), WIDE)


def _missile(kit: Kit) -> None:
    hand = kit.at.hands[1]
    if kit.variant == 'javelin':
        lift = kit.rng.uniform(10, 35)
        kit.line([along(hand, lift + 180, 0.4), along(hand, lift, 0.5)], kit.colour, 0.024)
        return
    if kit.rng.random() < 0.4:  # already let go
        hand = along(hand, kit.rng.uniform(0, 45), kit.rng.uniform(0.2, 0.5))
    if kit.variant == 'frisbee':
        kit.line([along(hand, 170, 0.08), along(hand, -10, 0.08)], kit.colour, 0.045)
    else:
        kit.disc(hand, 0.065, kit.colour)


ACTIONS: dict[str, Action] = {
    'climbing': Action(('rope', 'free'), _climb, behind=_holds, airborne=('rope', 'free')),
    'diving': Action(
        ('board', 'pike', 'splash'), _dive, _board, _splash, airborne=('board', 'pike', 'splash')
    ),
    'fishing': Action(('bank', 'stool', 'catch'), _fish, _stool, _rod),
    'pole vaulting': Action(
        ('rising', 'clearing', 'run-up'), _vault, _bar, _pole, airborne=('rising', 'clearing')
    ),
    'racing': Action(('kart', 'car', 'motorbike'), _race, _wheels_behind, _vehicle),
    'throwing': Action(('ball', 'javelin', 'frisbee'), _throw, front=_missile),
}
CLASSES = tuple(ACTIONS)
