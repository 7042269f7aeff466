import pytest
from refused import refused

from mmpretrain_lmmreg.text.prompts import class_prompts


def test_every_template_for_every_class_in_order():
    assert class_prompts(['iPhone 4', 'pole vaulting'], ['a {}.', '{}, from above {braces}']) == [
        ['a iPhone 4.', 'iPhone 4, from above {braces}'],
        ['a pole vaulting.', 'pole vaulting, from above {braces}'],
    ]


def test_clip_template_is_the_default():
    assert class_prompts(['7.Up']) == [['a photo of a 7.Up.']]


@pytest.mark.parametrize('templates', [[], 'a photo of a {}.', ['a photo.'], ['{} and {}']])
def test_templates_that_do_not_work(templates):
    with refused('text.templates'):
        class_prompts(['x'], templates)
