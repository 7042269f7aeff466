"""--check: what descriptions are worth, by hand and on planted faults."""

import json
import re
import sys

import numpy as np
import pytest
from describing import call, make_images
from mmengine.config import Config
from refused import refused

from mmpretrain_lmmreg.describe.check import check
from mmpretrain_lmmreg.describe.tasks import ConfigImages
from mmpretrain_lmmreg.describe.text_quality import class_pattern, distances, names_in, repeated
from mmpretrain_lmmreg.describe.zero_shot_eval import _with_interval
from mmpretrain_lmmreg.descriptions import DescriptionStore
from mmpretrain_lmmreg.io.files import read_sealed

CATS = ['A cat sleeps on a sofa.', 'The cat has grey fur.', 'A soft cat purrs.']
DOGS = ['A red dog runs.', 'Dogs chase a ball in the park.', 'It barks at the postman.']


def test_near_duplicates():
    assert repeated(['A cat.', 'Cat', 'a dog', 'The cat!']) == [True, True, False, True]
    assert repeated(['A man, on the ROPE!', 'man on a rope', 'man off a rope']) == [1, 1, 0]


def test_names_of_classes():
    patterns = [class_pattern(name) for name in ('vaulting', 'pole vaulting', 'ApplyEyeMakeup')]
    assert names_in('Someone is pole vaulting.', patterns) == [1]
    assert names_in('Pole vaulting, then vaulting', patterns) == [0, 1]
    assert names_in('to apply eye makeup', patterns) == [2]
    assert names_in('revaulting', patterns) == []


def test_distances_leave_the_image_out():
    means = np.array([[0.0, 0], [2, 0], [10, 0], [10, 4]])
    own, other, nearest = distances(means, np.array([1.0, 3, 2, 2]), np.array([0, 0, 1, 1]))
    # without itself, each class is its other image; the other class's mean is (1.5, 0) or (10, 2)
    np.testing.assert_allclose(own, [2, 2, 4, 4])
    np.testing.assert_allclose(other, [np.hypot(10, 2), np.hypot(8, 2), 8.5, np.hypot(8.5, 4)])
    assert nearest.tolist() == [1, 1, 0, 0]
    lone, *_ = distances(np.array([[0.0], [1], [3]]), np.ones(3), np.array([0, 1, 1]))
    assert lone[0] == 0


def test_wilsons_interval():
    found = _with_interval('names', 0.8, 10)  # Agresti and Coull's example: 0.490 to 0.943
    assert (found['low'], found['high']) == pytest.approx((0.490, 0.943), abs=1e-3)


@pytest.fixture
def faulty(config, tmp_path):
    """Twenty images of two classes; one labelled wrongly, one refused, one cut, one never asked."""
    tasks = make_images(tmp_path / 'data', train=20)
    lines = []
    for i, task in enumerate(tasks):
        texts = [*(DOGS if task.label else CATS), f'Number {i} of <b>all</b>.']
        record = dict(image=task.image, prompt='p', reply='', descriptions=texts, status='ok')
        lines.append(record)
    wrong = tasks[5].image  # in the folder of dogs
    lines[5]['descriptions'] = [*CATS, 'It may be a red dog.']
    lines[6].update(descriptions=[], status='refused')
    lines[7].update(status='truncated')
    del lines[8]
    path = tmp_path / 'data' / 'descriptions.jsonl'
    path.write_text('\n'.join(map(json.dumps, lines)))
    return path, wrong


@pytest.fixture
def found(config, faulty, tiny_clip):
    cfg = Config.fromfile(config)
    return check(cfg, ConfigImages(cfg, 'train'), faulty[0], 'p', f'local-dir:{tiny_clip},')


def test_counts_by_class(found):
    cat, dog = found.figures['classes']
    counts = ('name', 'images', 'asked', 'described', 'texts')
    assert [cat[key] for key in counts] == ['cat', 10, 9, 8, 32]
    assert (dog['texts'], found.figures['all']['asked']) == (40, 19)
    shares = {key: round(9 * share, 9) for key, share in cat['shares'].items()}
    assert (shares['refused'], shares['own name']) == (1, 9 * 24 / 32)
    assert (cat['shares']['repeated'], cat['shares']['other name']) == (24 / 32, 0)
    of_dogs = {
        key: round(40 * dog['shares'][key]) for key in ('own name', 'other name', 'repeated')
    }
    assert of_dogs == {'own name': 9 + 1, 'other name': 3, 'repeated': 9 * 3 + 3}
    assert dog['shares']['truncated'] == 1 / 10


def test_a_wrong_label_comes_first(found, faulty):
    first = found.farthest[0]
    assert (first['image'], first['label'], first['nearest']) == (faulty[1], 'red dog', 'cat')
    assert first['ratio'] > 1 and found.figures['suspects'] == 1
    shares = [each['shares']['nearer to another'] for each in found.figures['classes']]
    assert shares == [0, 1 / 10]
    assert [each['image'] for each in found.figures['outliers']] == [faulty[1]]
    assert f'{faulty[1]}: red dog, nearer to cat' in str(found)


def test_accuracy_without_training(found):
    each = found.figures['accuracies']
    assert [a['texts'] for a in each] == ['names', 'descriptions', 'both']
    assert all(a['images'] == 2 and a['low'] <= a['value'] <= a['high'] for a in each)
    assert ' % (' in str(found) and 'of 2 test images by both' in str(found)


def test_the_page_needs_nothing_beside_it_and_escapes(found):
    page = found.html()
    assert '1 images have descriptions\nnearer to the mean of another class' in page
    assert '&lt;b&gt;all&lt;/b&gt;' in page and '<b>all' not in page
    assert page.count('src="data:image/jpeg;base64,') == len(found.farthest) == 18
    assert not re.search(r'(?:src|href)="(?!data:)|https?:|<script', page)


def test_the_command_writes_the_page_beside_the_descriptions(config, faulty, tiny_clip, capsys):
    call(config, '--check', '--clip', f'local-dir:{tiny_clip},')
    page = faulty[0].with_name('descriptions-check.html')
    printed = capsys.readouterr().out
    kept = read_sealed(faulty[0].with_name('descriptions-check.json'))
    assert kept['fingerprint'] == DescriptionStore(faulty[0]).fingerprint
    assert 'mmengine' not in printed
    assert f'page          {page}' in printed and page.read_text().startswith('<!doctype html>')
    assert re.search(r'red dog +10 +10 +0.0% +0.0% +0.0% +10.0%', printed)


def test_without_a_test_split_there_is_no_accuracy(config, faulty, tiny_clip):
    cfg = Config.fromfile(config)
    images = ConfigImages(cfg, 'train')
    cfg.test_dataloader = None
    found = check(cfg, images, faulty[0], 'p', f'local-dir:{tiny_clip},')
    assert not found.figures['accuracies']
    assert 'no accuracy without training: the config has neither' in str(found)
    assert 'Not known: the config has neither a test' in found.html()


def test_missing_packages_are_named_before_anything_is_embedded(config, faulty, monkeypatch):
    for name in ('describe.check', 'io.page'):
        monkeypatch.delitem(sys.modules, f'mmpretrain_lmmreg.{name}', raising=False)
    monkeypatch.setitem(sys.modules, 'jinja2', None)
    with refused('describe.no_package', match='jinja2.*mmpretrain_lmmreg.evidence'):
        call(config, '--check', '--clip', 'nothing,')
