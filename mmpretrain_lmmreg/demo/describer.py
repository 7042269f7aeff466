"""A script that describes the demo's pictures, with the mistakes of a large multimodal model.

It is no LMM: it reads the parameters that a picture was drawn from. What it takes from an LMM
are rates, measured on 480 replies to the same prompt on BAR's photographs:

- 8.5 % of the replies never name the action; in the others 1 to 6 of the ten sentences do,
  147, 147, 91, 35, 13 and 6 times (a sentence names it by the class's word or an inflection,
  searched by regular expression); 80 % of all replies name it in the first sentence.
- 2 % of the sentences are wrong in a detail: 3 of the 160 of 16 replies that were drawn at
  random and compared with their photographs by eye, so an estimate (95 % interval 0.4 to
  5.4 %). All three erred in clothing or posture; here clothing, place, light and things err.
"""

from random import Random
from typing import NamedTuple

from .canvas import COLOURS
from .scenes import CLUTTER, LIGHTS, Scene

PROMPT = 'Give 10 semantic descriptions for the image'
MODEL = 'scripted describer'
UNNAMED = 0.085
NAMING_COUNTS = (147, 147, 91, 35, 13, 6)
NAMED_FIRST = 0.88  # of the replies that name the action: 80 % of all
WRONG = 0.02

WORDS: dict[str, dict[str, str]] = {
    'climbing': {'noun': 'climber', 'verb': 'climbs', 'gerund': 'climbing'},
    'diving': {'noun': 'diver', 'verb': 'dives', 'gerund': 'diving'},
    'fishing': {'noun': 'fisher', 'verb': 'fishes', 'gerund': 'fishing'},
    'pole vaulting': {'noun': 'pole vaulter', 'verb': 'pole vaults', 'gerund': 'pole vaulting'},
    'racing': {'noun': 'racer', 'verb': 'races', 'gerund': 'racing'},
    'throwing': {'noun': 'thrower', 'verb': 'throws', 'gerund': 'throwing'},
}
NAMING = (
    'A {person} {verb} in front of {place}.',
    'The {noun} is dressed in {shirt} and {trousers}.',
    'The picture shows {gerund} before {place}.',
    'The {noun} is a {person} with {hair} hair.',
    'This is a {gerund} scene in {light}.',
    'Someone is {gerund}, with something {gear} at hand.',
)
POSTURES: dict[str, tuple[str, ...]] = {
    'rope': (
        'A rope leads to the body.',
        'Hands and feet are placed on holds.',
        'One arm reaches far up.',
    ),
    'free': (
        'Hands and feet are placed on holds.',
        'The {person} hangs on by the hands.',
        'The ascent looks steep.',
    ),
    'board': (
        'A springboard is at one side.',
        'The {person} goes headfirst.',
        'The arms are stretched ahead.',
    ),
    'pike': (
        'The body is folded in the air.',
        'Arms and legs point the same way.',
        'The {person} turns headfirst.',
    ),
    'splash': (
        'Drops of water fly around the hands.',
        'The {person} goes headfirst.',
        'The body is long and straight.',
    ),
    'bank': (
        'The {person} holds a long rod.',
        'A float hangs from a line.',
        'The {person} stands and waits for a bite.',
    ),
    'stool': (
        'An angler sits on a small stool.',
        'The {person} holds a long rod.',
        'A thin line hangs down.',
    ),
    'catch': (
        'The angler has a catch on the line.',
        'The rod is long and bent.',
        'The {person} stands with both arms ahead.',
    ),
    'rising': (
        'The {person} is upside down on a pole.',
        'The legs point up.',
        'A crossbar waits above.',
    ),
    'clearing': (
        'The {person} passes over a crossbar.',
        'The body lies above the bar.',
        'A pole is let go.',
    ),
    'run-up': (
        'The {person} carries a long pole.',
        'The {person} is running up.',
        'The knee is lifted high.',
    ),
    'kart': (
        'The {person} drives a small kart.',
        'The wheels are small.',
        'Both hands are at the wheel.',
    ),
    'car': (
        'A fast car with a rear wing.',
        'The {person} sits in an open car.',
        'The car is low and long.',
    ),
    'motorbike': (
        'The {person} rides a motorbike.',
        'The body leans ahead over two big wheels.',
        'A motorcycle is seen from the side.',
    ),
    'ball': (
        'A ball is in the air or in the hand.',
        'One arm is swung back.',
        'The legs stand wide apart.',
    ),
    'javelin': (
        'The {person} has a javelin.',
        'One arm is swung back.',
        'The legs stand wide apart.',
    ),
    'frisbee': (
        'A flat disc is near the hand.',
        'The {person} plays with a frisbee.',
        'The legs stand wide apart.',
    ),
}
DETAILS = (
    'The background is {place}.',
    'Behind the {person} there is {place}.',
    'The {person} has on something {shirt}.',
    'The trousers are {trousers}.',
    'Shirt and trousers are {shirt} and {trousers}.',
    'The hair is {hair}.',
    'Something {gear} belongs to the scene.',
    'The picture is in {light}.',
)
REMARKS = (
    'The drawing is made of flat colours.',
    'The scene looks lively.',
    'It takes strength and practice.',
    'A single moment is shown.',
    'The person is seen from the side.',
)
PLACES: dict[str, str] = {
    'rock wall': 'a brown rock wall',
    'underwater': 'deep blue water',
    'lake': 'a lake with hills',
    'open sky': 'an open sky with clouds',
    'race track': 'a paved track',
    'playing field': 'a green playing field',
    'snow': 'snowy mountains',
    'desert': 'a sandy desert',
    'city street': 'a city street',
    'sports hall': 'a sports hall',
    'forest': 'a forest',
    'beach': 'a beach and the sea',
}
LIGHT = {'bright': 'bright daylight', 'warm': 'warm evening light', 'dim': 'dim light'}


class Sentence(NamedTuple):
    """A description, and what the script knows about it."""

    text: str
    names_action: bool
    wrong: bool


def describe(scene: Scene, rng: Random) -> list[Sentence]:
    """Ten different descriptions of a scene of one of the six classes."""
    count = 0
    if rng.random() >= UNNAMED:
        count = rng.choices(range(1, 7), NAMING_COUNTS)[0]
    naming = rng.sample(NAMING, count)
    plain = [*POSTURES[scene.variant], *DETAILS, *REMARKS]
    if scene.clutter:
        plain.append('There is {thing} to one side.')
    plain = rng.sample(plain, 10 - count)
    first = naming[:1] if rng.random() < NAMED_FIRST else plain[:1]
    rest = [template for template in (*naming, *plain) if template not in first]
    rng.shuffle(rest)
    templates = [*first, *rest]
    right, wrong = facts(scene, rng), mistaken(scene, rng)
    can_err = [t for t in templates if t.format_map(right) != t.format_map(wrong)]
    erring = rng.sample(can_err, min(len(can_err), sum(rng.random() < WRONG for _ in range(10))))
    return [
        Sentence(t.format_map(wrong if t in erring else right), t in naming, t in erring)
        for t in templates
    ]


def facts(scene: Scene, rng: Random) -> dict[str, str]:
    """The words for what a scene shows."""
    look = scene.look
    return {
        **WORDS[scene.action],
        'person': look.person,
        'shirt': look.shirt,
        'trousers': look.trousers,
        'hair': look.hair,
        'gear': scene.gear,
        'place': PLACES[scene.background],
        'light': LIGHT[scene.light],
        'thing': _thing(rng.choice(scene.clutter)) if scene.clutter else '',
    }


def mistaken(scene: Scene, rng: Random) -> dict[str, str]:
    """Words for what a scene does not show; person and action stay right."""

    def other(than: str, among) -> str:
        return rng.choice([x for x in among if x != than])

    look = scene.look
    return {
        **facts(scene, rng),
        'shirt': other(look.shirt, COLOURS),
        'trousers': other(look.trousers, COLOURS),
        'hair': other(look.hair, COLOURS),
        'gear': other(scene.gear, COLOURS),
        'place': PLACES[other(scene.background, PLACES)],
        'light': LIGHT[other(scene.light, LIGHTS)],
        'thing': _thing(rng.choice([x for x in CLUTTER if x not in scene.clutter])),
    }


def _thing(name: str) -> str:
    return 'another person' if name == 'bystander' else f'a {name}'
