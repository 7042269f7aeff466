"""What a picture shows, as plain values drawn by seed, and the picture itself."""

from dataclasses import dataclass
from random import Random

from PIL import Image

from .actions import ACTIONS, CLASSES
from .backgrounds import BACKGROUNDS
from .canvas import COLOURS, Canvas, Colour, vary
from .figures import HAIRS, SKINS, Look, Pose, View, draw_person, joints
from .stage import Kit

TIED = dict(zip(CLASSES, BACKGROUNDS, strict=False))  # a class's place in train
LIGHTS: dict[str, Colour] = {
    'bright': (255, 255, 255),
    'warm': (255, 226, 190),
    'dim': (168, 172, 190),
}
CLUTTER = ('tree', 'bush', 'bird', 'flag', 'box', 'bystander', 'post')


@dataclass(frozen=True)
class Scene:
    """Everything about one picture; equal scenes give equal pixels.

    ``place_seed`` settles the background's details, ``shot_seed`` pose, framing and clutter's
    places: two shots of one group share the former.
    """

    action: str
    variant: str
    background: str
    look: Look
    gear: str
    light: str
    clutter: tuple[str, ...]
    place_seed: str
    shot_seed: str


def sample_scene(action: str, background: str, group: str, shot: int) -> Scene:
    """A scene of an action at a place: people and things by ``group``, the moment by ``shot``."""
    rng = Random(group)
    person = rng.choice(('man', 'woman'))
    shirt, trousers, gear = (rng.choice(list(COLOURS)) for _ in range(3))
    headwear = rng.choice((None, None, 'cap', 'helmet'))
    if action == 'racing':
        headwear = 'helmet'
    look = Look(person, shirt, trousers, rng.choice(HAIRS), rng.randrange(len(SKINS)), headwear)
    light = rng.choice(('bright', 'bright', 'warm', 'dim'))
    clutter = tuple(rng.sample(CLUTTER, rng.choice((0, 1, 1, 2, 3))))
    moment = Random(f'{group}/{shot}')
    return Scene(
        action,
        moment.choice(ACTIONS[action].variants),
        background,
        look,
        gear,
        light,
        clutter,
        group,
        f'{group}/{shot}',
    )


def draw_scene(scene: Scene) -> Image.Image:
    """The picture of a scene: RGB, SIDE x SIDE pixels."""
    canvas, rng = Canvas((200, 200, 200)), Random(f'{scene.shot_seed}/draw')
    BACKGROUNDS[scene.background](canvas, Random(f'{scene.place_seed}/place'))
    for thing in scene.clutter:
        if thing != 'post':
            _draw_clutter(canvas, thing, rng)
    action = ACTIONS[scene.action]
    pose = action.pose(scene.variant, rng).jittered(rng, 9)
    view = _view(scene.variant in action.airborne, pose, rng)
    kit = Kit(canvas, joints(pose), view, scene.variant, vary(COLOURS[scene.gear], rng), rng)
    action.behind(kit)
    draw_person(canvas, pose, scene.look, view)
    action.front(kit)
    if 'post' in scene.clutter:
        _draw_clutter(canvas, 'post', rng)
    return canvas.finished(LIGHTS[scene.light])


def _view(airborne: bool, pose: Pose, rng: Random) -> View:
    size = rng.uniform(0.44, 0.82)
    lowest = max(foot[1] for foot in joints(pose).feet)
    y = rng.uniform(0.36, 0.66) if airborne else rng.uniform(0.8, 0.94) - size * lowest
    return View(rng.uniform(0.36, 0.64), y, size, rng.uniform(-14, 14), rng.random() < 0.5)


def _draw_clutter(canvas: Canvas, thing: str, rng: Random) -> None:
    x, colour = rng.choice((rng.uniform(0.02, 0.25), rng.uniform(0.75, 0.98))), _any_colour(rng)
    if thing == 'tree':
        canvas.line([(x, 0.85), (x, 0.5)], (96, 68, 44), 0.035)
        for _ in range(4):
            canvas.disc(
                (x + rng.uniform(-0.06, 0.06), rng.uniform(0.34, 0.5)),
                0.08,
                vary((58, 122, 62), rng),
            )
    elif thing == 'bush':
        for _ in range(4):
            canvas.disc(
                (x + rng.uniform(-0.08, 0.08), rng.uniform(0.8, 0.9)),
                0.06,
                vary((72, 126, 58), rng),
            )
    elif thing == 'bird':
        y = rng.uniform(0.08, 0.3)
        canvas.line([(x - 0.05, y - 0.02), (x, y), (x + 0.05, y - 0.02)], (52, 52, 58), 0.014)
    elif thing == 'flag':
        canvas.line([(x, 0.85), (x, 0.35)], (210, 210, 210), 0.014)
        canvas.polygon([(x, 0.35), (x + 0.12, 0.39), (x, 0.44)], colour)
    elif thing == 'box':
        canvas.box(x - 0.06, 0.8, x + 0.06, 0.9, colour)
    elif thing == 'post':
        canvas.line([(x, -0.05), (x, 1.05)], (150, 150, 154), 0.03)
    else:
        stranger = Look('man', rng.choice(list(COLOURS)), 'grey', 'black', rng.randrange(4), None)
        idle = Pose(90, ((-100, -95), (-80, -85)), ((-95, -92), (-84, -90)))
        draw_person(canvas, idle, stranger, View(x, 0.72, 0.36, 0, rng.random() < 0.5))


def _any_colour(rng: Random) -> Colour:
    return vary(COLOURS[rng.choice(list(COLOURS))], rng)
