"""Per-image predictions and run records on disk."""

import json

import numpy as np
import pytest
from refused import refused

from mmpretrain_lmmreg.errors import InputError, MissingInputError
from mmpretrain_lmmreg.hooks.run_folder import (
    Predictions,
    load_predictions,
    load_run,
    save_predictions,
    save_run,
)


def predictions(**changes) -> Predictions:
    values = dict(
        rel_path=np.array(['test/a b.jpg', 'test/ü.jpg', 'test/c.jpg']),
        label=np.array([0, 1, 1]),
        group=np.array(['v1', 'v1', 'v2']),
        probs=np.array([[0.7, 0.3], [0.6, 0.4], [0.1, 0.9]], np.float32),
        split='test',
    )
    return Predictions(**{**values, **changes})


def test_predictions_come_back_as_they_were(tmp_path):
    path = save_predictions(tmp_path, predictions())
    assert path == tmp_path / 'results' / 'test.npz'
    back = load_predictions(tmp_path)
    for name in ('rel_path', 'label', 'group', 'probs'):
        np.testing.assert_array_equal(getattr(back, name), getattr(predictions(), name))
    assert back.split == 'test' and back.probs.dtype == np.float32
    assert back.correct.tolist() == [True, False, True]


def test_missing_and_damaged_files_are_named(tmp_path):
    with refused('hooks.no_predictions', MissingInputError):
        load_predictions(tmp_path)
    path = save_predictions(tmp_path, predictions())
    path.write_bytes(path.read_bytes()[:-100])
    with refused('hooks.bad_predictions', match='test.npz is damaged'):
        load_predictions(tmp_path)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(label=np.array([0, 1])), 'different numbers of images'),
        (dict(rel_path=np.array([], str)), 'no images'),
        (dict(probs=np.zeros((3, 0), np.float32)), 'no images, or no classes'),
        (dict(label=np.array([0, 1, 2])), r'label lies outside 0\.\.1'),
        (dict(probs=np.array([[1, 0], [np.nan, 1], [0, 1]])), "probabilities of 'test/ü.jpg'"),
        (dict(probs=np.array([[1, 0], [0, 1], [1.5, -0.5]])), 'do not sum to 1'),
        (dict(rel_path=np.array(['a', 'b', 'a'])), "'a' occurs 2 times"),
    ],
)
def test_predictions_that_do_not_fit_together_are_refused(tmp_path, changes, message):
    save_predictions(tmp_path, predictions(**changes))
    with refused('hooks.bad_predictions', match=f'test.npz .*{message}'):
        load_predictions(tmp_path)


@pytest.mark.parametrize(
    ('name', 'array'),
    [
        ('rel_path', np.arange(3)),
        ('label', np.array([0.0, 1.0, 1.0])),
        ('group', np.array([b'a', b'b', b'c'])),
        ('probs', np.eye(3, 2, dtype=complex)),
        ('label', np.array([0, 1, 1], dtype=object)),
    ],
)
def test_arrays_of_other_types_are_refused(tmp_path, name, array):
    path = save_predictions(tmp_path, predictions())
    with np.load(path) as file:
        arrays = {**file, name: array}
    np.savez(path, **arrays)
    with refused('hooks.bad_predictions', match=str(path)):
        load_predictions(tmp_path)


RUN = dict(method='ö', seed=1, epochs=[dict(epoch=1, accuracy=0.5, seconds=1.0)], finished=True)


def test_run_record(tmp_path):
    with refused('hooks.no_record', MissingInputError):
        load_run(tmp_path)
    save_run(tmp_path, RUN)
    assert load_run(tmp_path) == RUN


@pytest.mark.parametrize(
    ('change', 'field'),
    [
        (dict(method=None), 'method'),
        (dict(seed=True), 'seed'),
        (dict(epochs=[dict(epoch=1, seconds=1)]), r'epochs\[0\].accuracy'),
        (dict(classes=['a', 1]), r'classes\[1\]'),
        (dict(splits={'test': []}), 'splits.test'),
    ],
)
def test_fields_of_other_types_are_refused(tmp_path, change, field):
    path = save_run(tmp_path, RUN)
    path.write_text(json.dumps({**RUN, **change}))
    with refused('hooks.bad_record', match=f'run.json: .*{field}.*train this run again'):
        load_run(tmp_path)


@pytest.mark.parametrize('text', ['{', '{"seed": 1}', '[]', '[' * 100_000])
def test_what_is_no_record_is_refused(tmp_path, text):
    path = save_run(tmp_path, RUN)
    path.write_text(text)
    with refused('hooks.bad_record', match='run.json.*train this run again'):
        load_run(tmp_path)


@pytest.mark.parametrize('number', ['NaN', '1' + 400 * '0'])
def test_numbers_that_are_not_finite_are_refused(tmp_path, number):
    path = save_run(tmp_path, RUN)
    text = json.dumps({**RUN, 'splits': {'test': dict(images=1, accuracy=7)}})
    path.write_text(text.replace(': 7', f': {number}'))
    with refused('hooks.bad_record', match='run.json'):
        load_run(tmp_path)


def flips(whole):
    """Copies with one flipped bit of each byte."""
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << offset % 8
        yield bytes(damaged)


def test_each_flipped_bit_of_predictions_is_found_or_harmless(tmp_path):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(4), 6).astype(np.float32)
    names = np.array([f'{i}.jpg' for i in range(6)])
    expected = Predictions(names, np.arange(6) % 4, names, probs, 'test')
    path = save_predictions(tmp_path, expected)
    whole, found = path.read_bytes(), 0
    for damaged in flips(whole):
        path.write_bytes(damaged)
        try:
            read = load_predictions(tmp_path)
        except InputError as error:
            assert str(path) in str(error)
            found += 1
        else:
            for field in ('rel_path', 'label', 'group', 'probs', 'split'):
                assert np.array_equal(getattr(read, field), getattr(expected, field))
    assert found > len(whole) / 2


def test_each_flipped_bit_of_a_record_is_found_or_harmless(tmp_path):
    path = save_run(tmp_path, RUN)
    for damaged in flips(path.read_bytes()):
        path.write_bytes(damaged)
        try:
            assert {k: v for k, v in load_run(tmp_path).items() if k in RUN} == RUN
        except InputError as error:
            assert str(path) in str(error)
