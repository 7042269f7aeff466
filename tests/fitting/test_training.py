"""Models of folds are those that the usual loop would train."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS
from refused import refused
from torch.utils.data import DataLoader

from mmpretrain_lmmreg.config import config_folder
from mmpretrain_lmmreg.deploy.standalone import head_logits
from mmpretrain_lmmreg.fitting.candidates import Candidate
from mmpretrain_lmmreg.fitting.cross_validation import config_of
from mmpretrain_lmmreg.fitting.inputs import WholeInputs
from mmpretrain_lmmreg.fitting.training import train_subsets
from mmpretrain_lmmreg.runner import LMMRegRunner

DEMO = str(config_folder() / 'lmmreg_demo.py')
STEPS = {'train_cfg.max_epochs': 20, 'train_cfg.min_iters': 0}
# of which the start is not random, so that both ways can be compared number by number
CASES = [
    Candidate('gda', 'gda', {'model.head.alpha': 10.0}),
    Candidate('logreg', 'logreg'),
    Candidate('logreg_trunk', 'logreg_trunk'),
    Candidate('labo', 'labo', STEPS),
    Candidate('tip_adapter_f', 'tip_adapter_f'),
    Candidate('clap', 'clap'),
    Candidate('wise_ft', 'wise_ft'),
    Candidate('mean_start', 'mean_start', STEPS),
    Candidate('lmmreg', 'lmmreg', {**STEPS, 'model.head.fc_init': 'class_means'}),
]


def _inputs(cfg) -> WholeInputs:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
        model.init_weights()
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    loop = SimpleNamespace(dataloader=DataLoader(dataset, 64))
    return WholeInputs(model.eval(), [loop], cfg.templates)


@pytest.mark.parametrize('candidate', CASES, ids=lambda c: c.name)
def test_a_subset_is_trained_as_a_run_trains_it(candidate, tmp_path, drawn):
    """All images of the run fit into one batch, whose order then does not matter."""
    cfg = config_of(candidate, DEMO)
    cfg.train_dataloader.dataset.shots = 4
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    cfg.work_dir = str(tmp_path)
    inputs = _inputs(cfg)
    everything = torch.arange(len(inputs.labels))
    forms = train_subsets(cfg, inputs, [everything] * 2)
    scores = [head_logits(inputs.trunk, form) for form in forms]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-4, rtol=1e-4)

    runner = LMMRegRunner.from_cfg(cfg)
    runner.train()
    runner.model.eval()
    with torch.no_grad():
        expected = runner.model.head(runner.model.backbone(inputs.trunk))
    torch.testing.assert_close(scores[0], expected, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize('candidate', CASES[4:], ids=lambda c: c.name)
def test_subsets_of_other_labels_are_trained_together_as_alone(candidate, drawn):
    cfg = config_of(candidate, DEMO)
    cfg.train_dataloader.dataset.shots = 4
    inputs = _inputs(cfg)
    rows, labels = torch.arange(len(inputs.labels)), inputs.labels
    subsets = [rows[(labels > 0) | (rows % 2 == 0)], rows[(labels < 5) | (rows % 2 == 0)]]
    assert len(subsets[0]) == len(subsets[1])
    for subset, form in zip(subsets, train_subsets(cfg, inputs, subsets), strict=True):
        (alone,) = train_subsets(cfg, inputs, [subset])
        scores, expected = (head_logits(inputs.trunk, each) for each in (form, alone))
        torch.testing.assert_close(scores, expected, atol=2e-3, rtol=2e-3)


def test_what_cannot_be_trained_on_subsets_is_refused(drawn):
    for method in ('clip_svd', 'm2_mix', 'nola'):
        cfg = config_of(Candidate(method, method), DEMO)
        inputs = _inputs(cfg)
        with refused('config.wrong_setting'):
            train_subsets(cfg, inputs, [torch.arange(len(inputs.labels))])


def test_each_fold_has_a_model_of_its_own_images(drawn):
    steps = {'train_cfg.min_iters': 300, 'optim_wrapper.optimizer.lr': 1e-3}
    cfg = config_of(Candidate('finetune', 'finetune', steps | {'train_cfg.max_epochs': 1}), DEMO)
    inputs = _inputs(cfg)
    rows = torch.arange(len(inputs.labels))
    forms = train_subsets(cfg, inputs, [rows[inputs.labels < 3], rows[inputs.labels >= 3]])
    low, high = (head_logits(inputs.trunk, form) for form in forms)
    assert (low.argmax(1) < 3).all() and (high.argmax(1) >= 3).all()
