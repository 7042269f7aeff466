"""Made-up finished runs, as the results hook writes them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmpretrain_lmmreg.descriptions.store import DescriptionWriter
from mmpretrain_lmmreg.evidence import report
from mmpretrain_lmmreg.evidence.comparison import comparison_of
from mmpretrain_lmmreg.evidence.runs import load_methods
from mmpretrain_lmmreg.hooks.run_folder import Predictions, save_predictions, save_run

CLASSES = ['climbing', 'pole vaulting', '<b>ra$ci$ng</b>']


def made_up(accuracy: float, seed: int = 0, images: int = 60) -> Predictions:
    """Predictions that are right for a share of images, five to a group, wrong at random."""
    rng = np.random.default_rng([seed, int(1000 * accuracy)])
    label = np.arange(images) % 3
    said = np.where(rng.random(images) < accuracy, label, (label + rng.integers(1, 3, images)) % 3)
    probs = np.full((images, 3), 0.1, np.float32)
    probs[np.arange(images), said] = 0.8
    names = np.array([f'test/{i:03d}.jpg' for i in range(images)])
    group = np.array([f'v{i // 5}' for i in range(images)])
    return Predictions(names, label, group, probs, 'test')


@pytest.fixture
def make_run(tmp_path):
    """Function that writes a run's folder and returns it; keywords change its ``run.json``."""

    def make(
        method: str,
        seed: int | None = 0,
        predictions: Predictions | None = None,
        below: str = '',
        **changes,
    ) -> Path:
        folder = tmp_path / below / f'{method}-{seed}'
        save_predictions(folder, predictions or made_up(0.8, seed or 0))
        epochs = [dict(epoch=e, accuracy=0.5 + e / 20, seconds=e) for e in range(1, 6)]
        record = dict(
            method=method,
            protocol='split 1',
            seed=seed,
            classes=CLASSES,
            data_root=str(tmp_path),
            descriptions=None,
            trained_parameters=1234,
            train_seconds=5.0,
            epochs=epochs,
            curve_split='test',
            finished=True,
        )
        save_run(folder, {**record, **changes})
        return folder

    return make


@pytest.fixture
def page(make_run, tmp_path) -> str:
    """Report of two methods, two seeds each, with images and one hostile description."""
    rng = np.random.default_rng(0)
    (tmp_path / 'test').mkdir()
    for i in range(60):
        pixels = rng.integers(0, 255, (30, 400 + i, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'test' / f'{i:03d}.jpg')
    with DescriptionWriter(tmp_path / 'descriptions.jsonl') as writer:
        for i in range(60):
            reply = '1. A <script>alert(1)</script> person.\n2. Rocks & ropes.'
            writer.append(dict(image=f'test/{i:03d}.jpg', prompt='describe', reply=reply))
    folders = [
        make_run(m, s, made_up(a, s))
        for m, a in (('<i>base</i>', 0.6), ('ours', 0.9))
        for s in (0, 1)
    ]
    methods = load_methods(folders)
    return report.render(comparison_of(methods, '<i>base</i>'), methods)
