"""Every file of configs/methods, through the commands: trained with and without EMA, stopped and
resumed, tested, used for pictures, exported. A new method is tested by being there."""

import json
import shutil
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmpretrain.registry import HOOKS, MODELS
from refused import refused
from smoke.tiny import write_project

from mmpretrain_lmmreg.cli import export, predict, upstream
from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.config import config_folder, load_config, method_file
from mmpretrain_lmmreg.deploy import standalone
from mmpretrain_lmmreg.heads.base import SetUpHead
from mmpretrain_lmmreg.heads.learned_text import LearnedTextHead
from mmpretrain_lmmreg.heads.zero_shot import ZeroShotHead
from mmpretrain_lmmreg.hooks.run_folder import load_predictions, load_run
from mmpretrain_lmmreg.io.trusted import read_checkpoint

METHODS = sorted(path.stem for path in (config_folder() / 'methods').glob('*.py'))
ON_IMAGES = [
    'model.backbone.trainable=svd_all',
    'train_cfg.type=EpochBasedTrainLoop',
    'val_cfg.type=ValLoop',
    'test_cfg.type=TestLoop',
]
ON_FEATURES = ['train_cfg.min_iters=0']
# Their heads are those of other methods, or parts of them, which the fast tests have
ALIKE = """
cascade_vlm class_names cross_modal_descriptions gaussian_start image_means image_text_emotion l2_sp
linear_probe lmmreg_named logreg match_gap mean_start_descriptions mean_start_images shuffled
tip_adapter zero_shot_descriptions zs_lp
""".split()  # noqa: SIM905
CASES = [
    *(
        pytest.param(method, ON_FEATURES, id=method, marks=[pytest.mark.slow] * (method in ALIKE))
        for method in METHODS
    ),
    pytest.param('clip_svd', ON_IMAGES, id='clip_svd-svd_all', marks=pytest.mark.slow),
]
NOT_PREDICTED = dict.fromkeys(['image_text', 'image_text_emotion'], 'deploy.text_of_each_image')
NOT_EXPORTED = {
    **NOT_PREDICTED,
    'cocoop': 'deploy.text_of_each_image',
    'perception_clip': 'deploy.not_exported',
    'caps_adapter': 'deploy.not_exported',
}
LEARN_TEXT = ('coop', 'cocoop', 'clip_a_self', 'labo')
PROJECT = """
default_hooks = dict(checkpoint=dict(interval=1))
custom_hooks = [dict(type='KeepsFirstEpoch')]
"""
EMA = """\
_base_ = 'tiny.py'
custom_hooks = [
    *_base_.custom_hooks, dict(type='EMAHook', momentum=0.3, priority='ABOVE_NORMAL')]
"""
PROMPTS = {  # of the replies to each; that with {class} is of lmmreg_named
    'Give 10 semantic descriptions for the image': '1. A {name} picture.\n2. Noise {number}.',
    'Give 10 emotions that the image elicits': '1. Calm.\n2. Joy about {number}.',
    'Describe this image of {class}': '1. {name}, number {number}.',
}


@HOOKS.register_module()
class KeepsFirstEpoch(Hook):
    """Keep the work folder as a run leaves it that is killed before its second epoch."""

    def before_train_epoch(self, runner):
        if runner.epoch == 1 and not runner.cfg.resume:
            shutil.copytree(runner.work_dir, f'{runner.work_dir}-stopped')


@pytest.fixture(scope='module')
def project(tmp_path_factory, pictures):
    """Folder of ``tiny.py``, ``ema.py``, their model, and pictures with replies to all prompts."""
    folder = tmp_path_factory.mktemp('project')
    root = folder / 'pictures'
    shutil.copytree(pictures, root)
    images = sorted(path.relative_to(root) for path in root.rglob('*.png'))
    records = [
        dict(
            image=str(image),
            prompt=prompt,
            reply=reply.format(name=image.parent.name, number=image.stem),
        )
        for image in images
        for prompt, reply in PROMPTS.items()
    ]
    (root / 'descriptions.jsonl').write_text('\n'.join(map(json.dumps, records)) + '\n')
    config = write_project(folder, root)
    config.write_text(config.read_text() + PROJECT)
    (folder / 'ema.py').write_text(EMA)
    return folder


@pytest.fixture(autouse=True)
def environment(own_cache, project, monkeypatch):
    """One feature table for all methods, and a log for each command."""
    monkeypatch.setenv('LMMREG_CACHE', str(project / 'cache'))
    monkeypatch.setenv('LMMREG_CONFIGS', str(config_folder()))
    monkeypatch.setattr(MMLogger, '_instance_dict', type(MMLogger._instance_dict)())


@pytest.fixture
def command(monkeypatch):
    """A function: train.py or test.py with these arguments, in this process."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        getattr(upstream, name)()

    return run


def settings(method: str, project: Path, more: list[str]) -> list[str]:
    """Two epochs that change something, and logits that leave no probability at 0 or 1."""
    head = load_config(method_file(method), project / 'tiny.py').model.head
    found = ['train_cfg.max_epochs=2', 'train_cfg.val_interval=1', *more]
    found.append('optim_wrapper.optimizer.lr=0.05')
    if issubclass(MODELS.get(head.type), ZeroShotHead | LearnedTextHead):
        found.append('model.head.logit_scale=10.0')
    return ['--cfg-options', *found]


def check_equal(found: Any, expected: Any, name: str) -> None:
    """Two parts of checkpoints are equal bit for bit, however deep."""
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), name
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), name
        for key in expected:
            check_equal(found[key], expected[key], f'{name}.{key}')
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), name
        for i, each in enumerate(expected):
            check_equal(found[i], each, f'{name}[{i}]')
    else:
        assert found == expected, name


def check_resumed(work: Path, stopped: Path, ema: bool) -> None:
    """Weights, averages, states of optimizer and schedules, and results are equal."""
    found, expected = (read_checkpoint(folder / 'epoch_2.pth') for folder in (stopped, work))
    assert ('ema_state_dict' in expected) == ema
    for part in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers'):
        check_equal(found.get(part), expected.get(part), part)
    check_equal(*(load_predictions(f, 'test').probs.tolist() for f in (stopped, work)), 'probs')
    curves = [[e['accuracy'] for e in load_run(folder)['epochs']] for folder in (stopped, work)]
    assert curves[0] == curves[1] and len(curves[0]) == 2


def check_averaged(method: str, work: Path) -> None:
    """The tested weights are averages, class embeddings included, where anything trains."""
    checkpoint = read_checkpoint(work / 'epoch_2.pth')
    raw = checkpoint['ema_state_dict']
    averaged = {
        name
        for name, value in checkpoint['state_dict'].items()
        if value.is_floating_point() and not torch.equal(value, raw[f'module.{name}'])
    }
    assert bool(averaged) == bool(load_run(work)['trained_parameters'])
    if method in LEARN_TEXT:
        assert 'head.text_weights' in averaged


def check_predicted(saved: list[str], paths: list[str], expected: np.ndarray, capsys) -> None:
    """predict.py's probabilities of some pictures are those of the test."""
    capsys.readouterr()
    args = predict.parser().parse_args([*saved[:2], *paths, *saved[2:], '--json'])
    assert predict.run(args) == 0
    results = json.loads(capsys.readouterr().out)
    found = [{p['class']: p['probability'] for p in each['predictions']} for each in results]
    rows = [[each[name] for name in ('blue', 'green', 'red')] for each in found]
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-5)


def check_exported(saved: list[str], out: Path, paths: list[str], expected: np.ndarray) -> None:
    """export.py's folder gives the same probabilities of some pictures."""
    export.run(export.parser().parse_args([*saved[:2], str(out), *saved[2:]]))
    exported = standalone.Classifier(out)
    found = exported(torch.stack([exported.read(path) for path in paths]))[1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    'ema', [True, pytest.param(False, marks=pytest.mark.slow)], ids=['ema', 'plain']
)
@pytest.mark.parametrize(('method', 'more'), CASES)
def test_method(method, more, ema, project, command, tmp_path, capsys, monkeypatch):
    file, options = method_file(method), settings(method, project, more)
    on, work, stopped = (
        project / ('ema.py' if ema else 'tiny.py'),
        tmp_path / 'w',
        tmp_path / 'w-stopped',
    )
    command('train', file, '--on', on, '--work-dir', work, *options)
    command('train', file, '--on', on, '--work-dir', stopped, '--resume', *options)
    check_resumed(work, stopped, ema)
    if ema:
        check_averaged(method, work)

    (config,) = work.glob('*.py')
    saved = [str(config), str(work / 'epoch_2.pth')]
    head = MODELS.get(load_config(config).model.head.type)
    if not (issubclass(head, SetUpHead) and head.inputs_at_test):
        monkeypatch.setattr(TextTower, '__init__', None)  # what is trained needs no text
    command('test', *saved, '--work-dir', tmp_path / 'tested')
    run, tested = load_predictions(work, 'test'), load_predictions(tmp_path / 'tested', 'test')
    assert list(tested.rel_path) == list(run.rel_path)
    assert np.array_equal(tested.correct, run.correct)
    # texts of test images are embedded in other company than beside those of training images
    np.testing.assert_allclose(tested.probs, run.probs, rtol=0, atol=1e-6)
    assert np.ptp(run.probs, axis=0).max() > 1e-3  # they do differ from image to image

    few = slice(None, None, 3)
    paths = [str(project / 'pictures' / path) for path in run.rel_path[few]]
    with refused_if(NOT_PREDICTED.get(method)):
        check_predicted(saved, paths, run.probs[few], capsys)
    with refused_if(NOT_EXPORTED.get(method)):
        check_exported(saved, tmp_path / 'out', paths, run.probs[few])
    assert (tmp_path / 'out').exists() == (method not in NOT_EXPORTED)


def refused_if(code: str | None) -> AbstractContextManager:
    """What is done inside is refused with this code, if there is one."""
    return refused(code) if code else nullcontext()
