"""The fitted temperature, and on which images it may be fitted."""

import pytest
import torch
import torch.nn.functional as F

from mmpretrain_lmmreg.deploy.classifier import load_classifier
from mmpretrain_lmmreg.deploy.temperature import LIMITS, calibrate, fit_temperature

from .conftest import save_run


@pytest.mark.parametrize('temperature', [0.3, 1.0, 4.0])
def test_temperature_that_made_the_labels_is_found(temperature):
    torch.manual_seed(0)
    logits = 3 * torch.randn(20_000, 5)
    labels = torch.distributions.Categorical(logits=logits / temperature).sample()
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_is_better():
    torch.manual_seed(0)
    logits, labels = 2 * torch.randn(300, 4), torch.randint(0, 4, (300,))
    logits[range(300), labels] += 1.5
    best = fit_temperature(logits, labels)
    losses = [F.cross_entropy(logits / t, labels) for t in (best, 0.95 * best, 1.05 * best)]
    assert min(losses) == losses[0]


def test_limits():
    logits = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    assert fit_temperature(logits, logits.argmax(1)) == LIMITS[0]  # all right
    assert fit_temperature(logits, logits.argmin(1)) == LIMITS[1]  # all wrong


class TestImages:
    """The tiny config validates on its test images, as the paper's curves do."""

    @pytest.mark.parametrize(
        ('folder', 'reason'),
        [
            ('test', 'the validation images are test images'),
            ('train', 'the validation images are training images'),
            ('lost', 'the val images are not at hand ('),
            (None, 'the config has no validation images'),
        ],
    )
    def test_none_that_can_be_used(self, tiny_config, tmp_path, folder, reason):
        tiny_config.val_dataloader.dataset.data_prefix = folder
        if folder is None:
            tiny_config.update(val_dataloader=None, val_cfg=None, val_evaluator=None)
        temperature, words = calibrate(load_classifier(*save_run(tiny_config, tmp_path / 'run')))
        assert temperature == 1.0 and words.startswith(f'not fitted: {reason}')

    def test_fitted_on_validation_images(self, tiny_config, pictures, tmp_path):
        names = [f'{colour}/{i}.png' for colour in ('blue', 'green', 'red') for i in range(4)]
        for part, start in (('val', 0), ('test', 1)):
            chosen = names[start::2]
            lines = [f'{name} {names.index(name) // 4}' for name in chosen]
            (tmp_path / f'{part}.txt').write_text('\n'.join(lines))
            loader = tiny_config[f'{part}_dataloader']
            loader.dataset.update(ann_file=str(tmp_path / f'{part}.txt'), data_prefix='test')
        saved = save_run(tiny_config, tmp_path / 'run')
        temperature, words = calibrate(load_classifier(*saved))
        at_limit = '; it is the limit, and they may be too few' if temperature in LIMITS else ''
        assert words == f'fitted on 6 validation images{at_limit}'
        classifier = load_classifier(*saved)
        paths = [str(pictures / 'test' / name) for name in names[::2]]
        _, probabilities = classifier([classifier.read(path) for path in paths])
        labels = torch.tensor([0, 0, 1, 1, 2, 2])
        expected = fit_temperature(probabilities.log(), labels)
        assert temperature == pytest.approx(expected, rel=1e-3)
