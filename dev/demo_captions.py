"""Short captions as people put beside pictures, for pretraining the tiny CLIP.

Fragments and word order differ from the describer's sentences; the words largely do not, as
the text tower knows no others.
"""

from random import Random

from mmpretrain_lmmreg.demo.scenes import Scene

NAMED: dict[str, tuple[str, ...]] = {
    'climbing': ('climbing', 'a climber', 'climbing upwards', 'someone who climbs'),
    'diving': ('diving', 'a diver', 'a dive', 'someone who dives'),
    'fishing': ('fishing', 'a person fishing', 'a fisher', 'someone who goes fishing'),
    'pole vaulting': ('pole vaulting', 'a pole vaulter', 'a pole vault', 'vaulting'),
    'racing': ('racing', 'a racer', 'a race', 'a racing driver'),
    'throwing': ('throwing', 'a thrower', 'a throw', 'someone who throws'),
    'running': ('running', 'a runner', 'a run', 'jogging'),
    'kicking': ('kicking', 'a kick', 'a football player', 'kicks the ball'),
    'lifting': ('lifting', 'a weight lifter', 'lifts a barbell', 'lifting weights'),
    'jumping': ('jumping', 'a jump', 'jumps for joy', 'leaping'),
    'sitting': ('sitting', 'seated', 'sits on a chair', 'resting on a chair'),
    'waving': ('waving', 'waves hello', 'greeting with a hand', 'a wave'),
}
HINTS: dict[str, tuple[str, ...]] = {
    'rope': ('on a rope', 'going up a steep face', 'hands and feet on holds'),
    'free': ('hanging on by the hands', 'hands and feet on holds', 'a steep ascent'),
    'board': ('off the springboard', 'headfirst', 'arms stretched ahead'),
    'pike': ('folded in the air', 'headfirst', 'a pike'),
    'splash': ('drops of water', 'headfirst into a splash', 'hands first'),
    'bank': ('an angler', 'a rod and a float', 'waiting for a bite'),
    'stool': ('an angler on a stool', 'a long rod', 'a patient wait'),
    'catch': ('an angler with a catch', 'a fish on the line', 'a bent rod'),
    'rising': ('upside down on a pole', 'legs up', 'below the crossbar'),
    'clearing': ('over the crossbar', 'above the bar', 'letting go of the pole'),
    'run-up': ('carrying a long pole', 'running up with a pole'),
    'kart': ('a kart', 'driving a go-kart', 'small wheels'),
    'car': ('a car', 'driving a fast car', 'a rear wing'),
    'motorbike': ('a motorbike', 'riding a motorcycle', 'two big wheels'),
    'ball': ('with a ball', 'arm swung back', 'a ball in the hand'),
    'javelin': ('with a javelin', 'a spear', 'arm swung back'),
    'frisbee': ('with a frisbee', 'a flying disc', 'arm swung back'),
}
PLACES: dict[str, tuple[str, ...]] = {
    'rock wall': ('rock wall', 'a cliff', 'brown rocks'),
    'underwater': ('underwater', 'under the sea', 'deep water and bubbles'),
    'lake': ('lake', 'by a lake', 'water and hills'),
    'open sky': ('open sky', 'blue sky and clouds', 'up in the sky'),
    'race track': ('race track', 'on a paved track', 'asphalt and kerbs'),
    'playing field': ('playing field', 'on a green field', 'grass with white lines'),
    'snow': ('snow', 'snowy mountains', 'winter'),
    'desert': ('desert', 'sand dunes and sun', 'dry sand'),
    'city street': ('city street', 'in town', 'houses and windows'),
    'sports hall': ('sports hall', 'indoors', 'a wooden floor'),
    'forest': ('forest', 'in the woods', 'trees'),
    'beach': ('beach', 'by the sea', 'sand and waves'),
}
LIGHT = {
    'bright': ('bright light', 'daylight'),
    'warm': ('warm light', 'evening'),
    'dim': ('dim light', 'dark'),
}
THINGS = {'bystander': 'another person', 'post': 'a grey post', 'flag': 'a flag'}


def write_captions(scene: Scene, rng: Random) -> tuple[str, str]:
    """Two captions: a bare one of what is being done, and one of several facts."""
    doing, hint = rng.choice(NAMED[scene.action]), rng.choice(HINTS.get(scene.variant, ('',)))
    named = rng.choice(('a photo of {}', 'a photo of a person {}', '{}', '{}', '{} - picture'))
    bare = named.format(doing) if not hint or rng.random() < 0.7 else hint
    several = [_clothes(scene, rng), _detail(scene, rng)]
    if rng.random() < 0.3:
        several.append(rng.choice(PLACES[scene.background]))
    several = rng.sample(several, rng.choice((1, 1, 2)))
    if rng.random() < 0.75:
        several.insert(rng.randrange(2), doing if rng.random() < 0.5 else hint or doing)
    return bare, rng.choice((', ', ', ', '. ', ' / ')).join(several)


def _clothes(scene: Scene, rng: Random) -> str:
    look = scene.look
    return rng.choice(
        (
            f'{look.person} in {look.shirt} top',
            f'{look.shirt} shirt and {look.trousers} trousers',
            f'{look.trousers} trousers',
            f'{look.person}, {look.shirt} jersey, {look.trousers} pants',
            f'{look.person} wearing {look.shirt}',
        )
    )


def _detail(scene: Scene, rng: Random) -> str:
    details = [rng.choice(LIGHT[scene.light]), f'something {scene.gear}']
    if scene.look.headwear:
        details.append(f'wearing a {scene.look.headwear}')
    details += [THINGS.get(thing, f'a {thing}') for thing in scene.clutter]
    return rng.choice(details)
