"""Export of the methods that are a matrix over fixed classes, and refusal of others."""

from pathlib import Path

import pytest
import torch
from mmpretrain.apis import get_model

from mmpretrain_lmmreg.cli import export as command
from mmpretrain_lmmreg.deploy import standalone
from mmpretrain_lmmreg.deploy.classifier import load_classifier
from mmpretrain_lmmreg.deploy.pictures import find_pictures
from mmpretrain_lmmreg.errors import InputError

LINEAR = [
    'ZeroShotHead',
    'WiSEFTHead',
    'GDAHead',
    'LogisticRegressionHead',
    'ZSLPHead',
    'CLAPHead',
    'LPPlusPlusHead',
    'CrossModalHead',
    'ClassifyByDescriptionHead',
    'RaFAHead',
    'M2MixHead',
]


def save(cfg, type_: str, folder: Path, **options) -> tuple[str, str]:
    """Config and checkpoint of a head with random weights."""
    cfg.model.head = dict(type=type_, num_classes=3, in_channels=24, **options)
    if type_ not in ('LogisticRegressionHead', 'RaFAHead', 'M2MixHead'):
        cfg.model.head.logit_scale = 2.0  # at 100 all probabilities are 0 or 1
    folder.mkdir()
    cfg.dump(folder / 'config.py')
    torch.manual_seed(1)
    model = get_model(cfg)
    model.backbone.init_weights()
    for tensor in model.head.state_dict().values():
        if tensor.is_floating_point():
            tensor.normal_(std=0.2)
    torch.save(dict(meta={}, state_dict=model.state_dict()), folder / 'epoch_2.pth')
    return str(folder / 'config.py'), str(folder / 'epoch_2.pth')


def export(saved, out: Path) -> None:
    command.run(command.parser().parse_args([*saved, str(out)]))


@pytest.mark.parametrize('type_', LINEAR)
def test_same_probabilities(type_, tiny_config, pictures, tmp_path):
    saved = save(tiny_config, type_, tmp_path / 'run')
    export(saved, tmp_path / 'out')
    exported, classifier = standalone.Classifier(tmp_path / 'out'), load_classifier(*saved)
    paths = find_pictures([str(pictures / 'test')])[:4]
    found = exported(torch.stack([exported.read(path) for path in paths]))[1]
    expected = classifier([classifier.read(path) for path in paths])[1]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert found.std(0).max() > 1e-4


def test_a_mixture_of_contexts_is_not_linear(tiny_config, tmp_path):
    saved = save(tiny_config, 'PerceptionCLIPHead', tmp_path / 'run', attributes=[['', ', near']])
    with pytest.raises(InputError, match='PerceptionCLIPHead is not a linear classifier of the'):
        export(saved, tmp_path / 'out')
