import pytest
from refused import refused

from mmpretrain_lmmreg.text.prompts import class_prompts


def test_every_template_for_every_class_in_order():
    assert class_prompts(
        ['CliffDiving', 'pole vaulting'], ['a {}.', '{}, from above {braces}']
    ) == [
        ['a Cliff Diving.', 'Cliff Diving, from above {braces}'],
        ['a pole vaulting.', 'pole vaulting, from above {braces}'],
    ]


def test_clip_template_is_the_default():
    assert class_prompts(['Sumo_Wrestling']) == [['a photo of a Sumo Wrestling.']]


@pytest.mark.parametrize('templates', [[], 'a photo of a {}.', ['a photo.'], ['{} and {}']])
def test_templates_that_do_not_work(templates):
    with refused('text.templates'):
        class_prompts(['x'], templates)
