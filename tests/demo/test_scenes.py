"""Pictures follow from their parameters, and the splits are tied and untied as promised."""

from collections import Counter
from dataclasses import replace

import pytest

from mmpretrain_lmmreg.demo.actions import ACTIONS, CLASSES
from mmpretrain_lmmreg.demo.backgrounds import BACKGROUNDS
from mmpretrain_lmmreg.demo.canvas import SIDE
from mmpretrain_lmmreg.demo.render import scenes
from mmpretrain_lmmreg.demo.scenes import CLUTTER, TIED, draw_scene, sample_scene

SCENES = list(scenes())


@pytest.mark.parametrize('action', CLASSES)
@pytest.mark.parametrize('shot', [0, 1])
def test_equal_scenes_give_equal_pixels_and_other_shots_do_not(action, shot):
    scene = sample_scene(action, 'forest', 'a group', shot)
    picture = draw_scene(scene)
    assert (picture.mode, picture.size) == ('RGB', (SIDE, SIDE))
    assert picture.tobytes() == draw_scene(replace(scene)).tobytes()
    other = sample_scene(action, 'forest', 'a group', 1 - shot)
    assert (scene.look, scene.gear, scene.clutter) == (other.look, other.gear, other.clutter)
    assert picture.tobytes() != draw_scene(other).tobytes()


@pytest.mark.parametrize('action', CLASSES)
def test_every_variant_place_and_thing_can_be_drawn_and_is_seen(action):
    scene = replace(sample_scene(action, 'lake', 'g', 0), clutter=())
    for variant in ACTIONS[action].variants:
        pictures = {
            draw_scene(replace(scene, variant=variant, background=place)).tobytes()
            for place in BACKGROUNDS
        }
        assert len(pictures) == 12
    plain = draw_scene(scene).tobytes()
    assert all(draw_scene(replace(scene, clutter=(c,))).tobytes() != plain for c in CLUTTER)


def test_counts_of_images_and_groups():
    counts = Counter((image.split('/')[0], scene.action) for image, _, scene in SCENES)
    assert counts == {(s, c): n for s, n in (('train', 60), ('test', 72)) for c in CLASSES}
    assert set(Counter(group for _, group, _ in SCENES).values()) == {2}
    assert len({image for image, _, _ in SCENES}) == len(SCENES) == 792


@pytest.mark.parametrize(('split', 'share'), [('train', 27 / 30), ('test', 1 / 12)])
def test_places_are_tied_in_train_and_untied_in_test(split, share):
    for action in CLASSES:
        places = [s.background for i, _, s in SCENES if s.action == action and i.startswith(split)]
        assert places.count(TIED[action]) / len(places) == pytest.approx(share)
    if split == 'test':
        counts = Counter((s.action, s.background) for i, _, s in SCENES if i.startswith('test'))
        assert set(counts.values()) == {6} and len(counts) == 72


def test_another_draw_has_no_picture_of_the_first():
    some = [SCENES[::20], list(scenes('demo 2'))[::20]]
    first, second = ({draw_scene(scene).tobytes() for _, _, scene in each} for each in some)
    assert len(first) == len(second) == 40 and not first & second
