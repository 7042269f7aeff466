"""``load`` of the three kinds of folders, and what a classifier says of an image."""

import os

import numpy as np
import pytest
from PIL import Image
from refused import refused

from mmpretrain_lmmreg import class_means, load
from mmpretrain_lmmreg.clip.text_tower import TextTower
from mmpretrain_lmmreg.deploy.classifier import load_classifier
from mmpretrain_lmmreg.deploy.standalone import BATCH

from .conftest import CLASSES


@pytest.fixture
def work_folder(saved, tmp_path):
    (tmp_path / 'run' / 'last_checkpoint').write_text(f'/elsewhere/{saved.checkpoint[-11:]}')
    return tmp_path / 'run'


def test_a_work_folder_is_exported_once_and_explained(work_folder, saved, pictures, tmp_path):
    classifier = load(work_folder)
    assert classifier.classes == CLASSES and classifier.leaderboard is None
    path = pictures / 'test' / 'red' / '0.png'
    trained = load_classifier(*saved)
    _, expected = trained([trained.read(str(path))])
    (found,) = classifier.predict(path, topk=3)
    probabilities = {p['class']: p['probability'] for p in found['predictions']}
    named = dict(zip(CLASSES, expected[0].tolist(), strict=True))
    assert probabilities == pytest.approx(named, abs=1e-5)

    exported = (work_folder / 'exported' / 'classifier.json').stat().st_mtime_ns
    again = load(work_folder)
    assert (work_folder / 'exported' / 'classifier.json').stat().st_mtime_ns == exported
    texts = again.explain(path, 2)
    assert len(texts) == 2 and texts[0]['similarity'] >= texts[1]['similarity']
    assert set(texts[0]['classes']) <= set(CLASSES)

    os.utime(saved.checkpoint)  # trained further
    with refused('deploy.outdated'):
        load(work_folder)
    alone = load(work_folder / 'exported')
    with refused('deploy.nothing_to_explain'):
        alone.explain(path)
    with refused('deploy.no_coverage'):
        alone.predict(path, coverage=0.9)
    with refused('deploy.exists'):
        alone.save(work_folder)


def test_images_of_all_kinds_are_the_same_image(work_folder, pictures):
    classifier = load(work_folder)
    path = pictures / 'test' / 'red' / '0.png'
    image = Image.open(path)
    results = classifier.predict([path, str(path), image, np.asarray(image.convert('RGB'))])
    assert [r['predictions'] for r in results] == [results[0]['predictions']] * 4
    assert classifier.embed(pictures / 'test').shape == (12, 24)
    arrays = np.random.default_rng(0).integers(0, 256, (BATCH + 2, 40, 40, 3), dtype=np.uint8)
    results = classifier.predict(list(arrays))
    assert [r['image'] for r in results] == [f'image {i}' for i in range(BATCH + 2)]
    last = classifier.predict(arrays[-1])[0]['predictions'][0]
    assert results[-1]['predictions'][0]['probability'] == pytest.approx(last['probability'])
    (pictures / 'nothing').mkdir()
    with refused('deploy.no_images'):
        classifier.embed(pictures / 'nothing')
    with refused('deploy.unreadable'):
        classifier.predict(np.zeros((4, 4), np.float32))


def test_class_means_are_those_of_equation_one(tiny_clip):
    name = f'local-dir:{tiny_clip}'
    found = class_means({'a': ['A cat.', 'A cat.', 'A dog.'], 'b': ['A bird.']}, name)
    cat, dog, bird = TextTower(name).encode(['A cat.', 'A dog.', 'A bird.']).numpy()
    np.testing.assert_allclose(found, [(2 * cat + dog) / 3, bird], atol=1e-5)
    with refused('text.class_not_described'):
        class_means({'a': ['A cat.'], 'b': []}, name)
