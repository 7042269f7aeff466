"""``classifier.json`` of others: wrong types, deep JSON, no numbers."""

import json

import pytest

from mmpretrain_lmmreg.deploy.standalone import read_settings

GOOD = dict(classes=['a', 'b'], normalize=True, temperature=1.5, draft=None)
WRONG = [
    *(dict(classes=value) for value in (None, ['a', 3], 'ab', ['a'])),
    *(dict(temperature=value) for value in ('1', 0, -2, float('nan'), float('inf'), True)),
    dict(normalize='yes'),
    dict(draft='224'),
    dict(on_trunk=1),
]


@pytest.mark.parametrize('wrong', WRONG, ids=repr)
def test_a_wrong_field_is_named(wrong, tmp_path):
    file = tmp_path / 'classifier.json'
    file.write_text(json.dumps(GOOD))
    assert read_settings(file)['on_trunk'] is False
    file.write_text(json.dumps(GOOD | wrong))
    with pytest.raises(ValueError, match=next(iter(wrong))):
        read_settings(file)


@pytest.mark.parametrize('text', ['', 'no', '[' * 100_000, '[]', '3', 'null', '{"a": ' * 100_000])
def test_what_is_no_object_is_refused(text, tmp_path):
    file = tmp_path / 'classifier.json'
    file.write_text(text)
    with pytest.raises(ValueError, match=r'classifier\.json'):
        read_settings(file)
