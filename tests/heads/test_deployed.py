"""A checkpoint of each method predicts pictures and is exported, as it was validated."""

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmpretrain.registry import MODELS

from mmpretrain_lmmreg.cli import export as command
from mmpretrain_lmmreg.deploy import standalone
from mmpretrain_lmmreg.deploy.classifier import load_classifier
from mmpretrain_lmmreg.deploy.head_form import cached_logits, head_form
from mmpretrain_lmmreg.deploy.predict import predict
from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.evidence.results import load_predictions

METHODS = {
    'coop': {'model.head.width': 16},
    'clip_a_self': {'model.head.logit_scale': 10.0},
    'labo': {},
    'wise_ft': {},
    'tip_adapter_f': {},
    'gda': {},
    'clap': {'model.head.logit_scale': 10.0},
    'clip_svd': {},
    'm2_mix': {},
    'nola': {'model.head.epochs': 5, 'model.head.logit_scale': 10.0, 'param_scheduler': []},
}
SVD_ALL = {
    'model.backbone.trainable': 'svd_all',
    'train_cfg.type': 'EpochBasedTrainLoop',
    'val_cfg.type': 'ValLoop',
    'test_cfg.type': 'TestLoop',
}
CASES = [*METHODS.items(), pytest.param('clip_svd', SVD_ALL, id='clip_svd-svd_all')]


@pytest.fixture(autouse=True)
def own_log(monkeypatch):
    """The command quietens the log, which is the whole process's."""
    monkeypatch.setattr(MMLogger, '_instance_dict', type(MMLogger._instance_dict)())


def save(cfg, runner, folder):
    cfg.dump(folder / 'config.py')
    return str(folder / 'config.py'), f'{runner.work_dir}/epoch_{runner.epoch}.pth'


def check_prediction(saved, validated, pictures):
    """tools/predict.py's probabilities are those of validation; returns the pictures' paths."""
    paths = [str(pictures / path) for path in validated.rel_path]
    classifier, broken = load_classifier(*saved), {}
    found = [
        {row['class']: row['probability'] for row in result['predictions']}
        for result in predict(classifier, paths, broken)
    ]
    rows = [[each[name] for name in classifier.classes] for each in found]
    np.testing.assert_allclose(rows, validated.probs, rtol=0, atol=3e-5)
    return paths


@pytest.mark.parametrize(('method', 'options'), CASES)
def test_predicts_and_is_exported(method, options, config_of, train, pictures, tmp_path):
    cfg = config_of(method, **options)
    runner = train(cfg)
    validated = load_predictions(runner.work_dir, 'test')
    saved = save(cfg, runner, tmp_path)
    paths = check_prediction(saved, validated, pictures)
    assert np.ptp(validated.probs, axis=0).max() > 1e-3  # they do differ from image to image

    out = tmp_path / 'out'
    command.run(command.parser().parse_args([*saved, str(out)]))
    exported = standalone.Classifier(out)
    _, probabilities = exported(torch.stack([exported.read(path) for path in paths]))
    # logits of some hundreds, as LaBo's here, are rounded in the fifth digit of a probability
    np.testing.assert_allclose(probabilities, validated.probs, rtol=0, atol=3e-5)


def test_text_of_each_image_predicts_but_cannot_be_exported(config_of, train, pictures, tmp_path):
    cfg = config_of('cocoop', **{'model.head.width': 16, 'train_cfg.max_epochs': 1})
    runner = train(cfg)
    saved = save(cfg, runner, tmp_path)
    check_prediction(saved, load_predictions(runner.work_dir, 'test'), pictures)
    with pytest.raises(InputError, match='CoCoOpHead classifies with depends on each image'):
        command.run(command.parser().parse_args([*saved, str(tmp_path / 'out')]))
    assert not (tmp_path / 'out').exists()


def test_divergences_predict_but_cannot_be_exported(config_of, train, pictures, tmp_path):
    cfg = config_of('caps_adapter', **{'train_cfg.max_epochs': 1})
    runner = train(cfg)
    saved = save(cfg, runner, tmp_path)
    check_prediction(saved, load_predictions(runner.work_dir, 'test'), pictures)
    with pytest.raises(InputError, match='CapSAdapterHead is not a linear classifier of the emb'):
        command.run(command.parser().parse_args([*saved, str(tmp_path / 'out')]))
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('normalize', [True, False])
def test_form_of_a_linear_head_is_its_own_weights(normalize):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(type='ClassMeanRegHead', num_classes=3, in_channels=5, normalize=normalize)
    )
    form = head_form(head, 5)
    assert form.normalize == normalize
    assert torch.equal(form.tensors['weight'], head.fc.weight)
    assert torch.equal(form.tensors['bias'], head.fc.bias)


def test_form_with_a_cache():
    torch.manual_seed(0)
    head = MODELS.build(dict(type='TipAdapterHead', num_classes=3, in_channels=5, alpha=2.0))
    head.take_text_means(torch.randn(3, 5))
    head.fit(torch.randn(7, 5), torch.arange(7) % 3)
    tensors, normalize = head_form(head, 5)
    x = torch.randn(4, 5)
    unit = torch.nn.functional.normalize(x, dim=1)
    cache = {name: tensors[name] for name in ('keys', 'key_values', 'key_sharpness')}
    found = unit @ tensors['weight'].T + tensors['bias'] + cached_logits(unit, **cache)
    assert normalize
    torch.testing.assert_close(found, head((x,)), rtol=1e-4, atol=1e-4)
    without = unit @ tensors['weight'].T + tensors['bias']
    assert (without - head((x,))).abs().max() > 0.01
