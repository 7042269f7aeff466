"""Per-image predictions and run records on disk."""

import numpy as np
import pytest

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


def test_names_in_an_object_array_are_not_pickled(tmp_path):
    names = np.array(['a', 'b', 'c'], dtype=object)
    path = save_predictions(tmp_path, predictions(rel_path=names))
    with np.load(path, allow_pickle=False) as file:
        assert file['rel_path'].dtype.kind == 'U'


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(MissingInputError, match="type='ResultsHook'"):
        load_predictions(tmp_path)
    path = save_predictions(tmp_path, predictions())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match='test.npz is damaged'):
        load_predictions(tmp_path)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(label=np.array([0, 1])), 'different numbers of images'),
        (dict(label=np.array([0, 1, 2])), r'label lies outside 0\.\.1'),
        (dict(probs=np.array([[1, 0], [np.nan, 1], [0, 1]])), "probabilities of 'test/ü.jpg'"),
        (dict(probs=np.array([[1, 0], [0, 1], [1, 1]])), "probabilities of 'test/c.jpg'"),
        (dict(rel_path=np.array(['a', 'b', 'a'])), "'a' occurs 2 times"),
    ],
)
def test_predictions_that_do_not_fit_together_are_refused(tmp_path, changes, message):
    save_predictions(tmp_path, predictions(**changes))
    with pytest.raises(InputError, match=message):
        load_predictions(tmp_path)


def test_run_record(tmp_path):
    with pytest.raises(MissingInputError, match='trained with ResultsHook'):
        load_run(tmp_path)
    run = dict(method='ö', seed=1, epochs=[], finished=True)
    save_run(tmp_path, run)
    assert load_run(tmp_path) == run
    (tmp_path / 'results' / 'run.json').write_text('{"seed": 1}')
    with pytest.raises(InputError, match='lacks epochs, finished, method'):
        load_run(tmp_path)
    (tmp_path / 'results' / 'run.json').write_text('{')
    with pytest.raises(InputError, match='run.json is damaged .*train this run again'):
        load_run(tmp_path)


def test_each_flipped_bit_of_predictions_is_found_or_harmless(tmp_path):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(4), 6).astype(np.float32)
    names = np.array([f'{i}.jpg' for i in range(6)])
    expected = Predictions(names, np.arange(6) % 4, names, probs, 'test')
    path = save_predictions(tmp_path, expected)
    whole, found = path.read_bytes(), 0
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << offset % 8
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
    run = dict(method='m', seed=1, epochs=[dict(epoch=1, accuracy=0.5)], finished=True)
    path = save_run(tmp_path, run)
    whole = path.read_bytes()
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << offset % 8
        path.write_bytes(damaged)
        try:
            assert {k: v for k, v in load_run(tmp_path).items() if k in run} == run
        except InputError as error:
            assert str(path) in str(error)
