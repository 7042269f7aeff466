"""Which runs a sweep makes, what it selects on, and that it goes on where it stopped."""

import json
import runpy
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from refused import refused

from mmpretrain_lmmreg.cli.sweep_runs import _outcome
from mmpretrain_lmmreg.config import config_folder, method_file
from mmpretrain_lmmreg.evidence import sweep as module
from mmpretrain_lmmreg.evidence.holdout import hold_out_validation, leaves
from mmpretrain_lmmreg.evidence.runs import load_methods
from mmpretrain_lmmreg.evidence.sweep import Source, Sweep, check_budgets, grid_of, slug
from mmpretrain_lmmreg.hooks.run_folder import (
    load_predictions,
    load_run,
    save_predictions,
    save_run,
)

from .conftest import made_up

TOOLS = Path(__file__).resolve().parents[2] / 'tools'

CONFIG = """
model = dict(head=dict(alpha=0.01))
optim_wrapper = dict(optimizer=dict(lr=0.1))
train_dataloader = dict(dataset=dict(type='BAR', split='train', pipeline=['train']))
val_dataloader = dict(dataset=dict(type='BAR', split='test', pipeline=['test']))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='Accuracy')
val_cfg = test_cfg = dict()
train_cfg = dict(max_epochs=7, val_interval=1)
"""


@pytest.fixture
def configs(tmp_path) -> list[str]:
    paths = [tmp_path / 'ours.py', tmp_path / 'other.py']
    for path in paths:
        path.write_text(CONFIG)
    return [str(path) for path in paths]


@pytest.fixture
def trained(monkeypatch) -> list[tuple[Config, Path]]:
    """Training replaced by made-up results: the best alpha is 0.1, and other's 0.01 is right."""
    done = []

    def train(path, folder):
        cfg = Config.fromfile(path)
        done.append((cfg, folder))
        alpha = cfg.model.head.alpha
        wanted = 0.1 if cfg.method == 'ours' else 0.01
        predictions = made_up(0.9 if alpha == wanted else 0.6, cfg.randomness.seed)
        save_predictions(folder, predictions)
        epochs = [dict(epoch=1, accuracy=float(predictions.correct.mean()), seconds=1.0)]
        save_run(
            folder,
            dict(
                method=cfg.method,
                seed=cfg.randomness.seed,
                epochs=epochs,
                curve_split=predictions.split,
                finished=True,
                train_seconds=1.0,
            ),
        )

    def train_all(train_here, runs, jobs, progress):
        for run in runs:
            train(*run)

    monkeypatch.setattr(module, 'train_all', train_all)
    return done


def test_selection_never_sees_test_and_retrains_on_everything(configs, trained, tmp_path):
    sweep = Sweep(configs, [0, 1], ['model.head.alpha=0.001,0.01,0.1'], tmp_path / 'out')
    assert sweep.run(None, select=True)[0]['folder'] == 'runs/ours/default/seed0'
    selecting = [cfg for cfg, folder in trained if 'select' in folder.parts]
    final = [cfg for cfg, folder in trained if 'runs' in folder.parts]
    assert len(selecting) == 2 * 3 * 2 and len(final) == (2 + 1) * 2
    for cfg in selecting:
        assert cfg.test_dataloader is cfg.test_evaluator is cfg.test_cfg is None
        train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
        assert (train.split, val.split) == ('train', 'val')
        assert train.val_fraction == val.val_fraction == 0.2 and val.pipeline == ['test']
        assert cfg.train_cfg.val_interval == 7
    for cfg in final:
        assert cfg.val_dataloader.dataset.split == 'test' and cfg.train_cfg.val_interval == 1
        assert 'val_fraction' not in cfg.train_dataloader.dataset
    summary = json.loads((tmp_path / 'out' / 'sweep.json').read_text())
    assert summary['selection']['ours']['options'] == {'model.head.alpha': 0.1}
    assert len(summary['selection']['ours']['tried']) == 3
    labels = [(r['method'], r['tuning'], r['seed']) for r in summary['runs']]
    assert labels == [
        ('ours', 'default', 0),
        ('ours', 'default', 1),
        ('ours', 'tuned', 0),
        ('ours', 'tuned', 1),
        ('other', 'default = tuned', 0),
        ('other', 'default = tuned', 1),
    ]
    assert [m.name for m in load_methods([tmp_path / 'out'])] == ['ours', 'ours (tuned)', 'other']


def test_a_sweep_names_a_baseline_that_it_has(configs, trained, tmp_path):
    runs = Sweep(configs, [0], ['model.head.alpha=0.1,1'], tmp_path / 'out').run(None, False)
    baseline = _outcome(tmp_path / 'out', runs).partition('--baseline ')[2].partition(' --out')[0]
    methods = load_methods([tmp_path / 'out'])
    assert shlex.split(baseline) == [methods[0].name] == ['ours [alpha=0.1]']


def test_a_killed_sweep_goes_on_with_as_many_runs_at_a_time(
    configs, trained, tmp_path, monkeypatch
):
    """On other numbers of threads, the last bits of the weights would be others."""
    batches, train_all = [], module.train_all

    def watched(train_here, runs, jobs, progress):
        batches.append((len(runs), jobs))
        if len(batches) == 2:
            raise KeyboardInterrupt
        train_all(train_here, runs, jobs, progress)

    monkeypatch.setattr(module, 'train_all', watched)
    sweep = Sweep(configs[:1], [0, 1, 2], [], tmp_path / 'out', jobs=2)
    with pytest.raises(KeyboardInterrupt):
        sweep.run(None, select=False)
    sweep.run(None, select=False)
    assert batches == [(1, 1), (2, 2), (0, 1), (2, 2)]


def test_other_descriptions_stop_a_sweep_that_goes_on(configs, trained, tmp_path):
    """A file that came, went or grew in between would make seeds of other texts."""
    out, file = tmp_path / 'out', tmp_path / 'descriptions.jsonl'
    sweep = Sweep(configs, [0], [], out)
    sweep.run(None, select=False)
    record = load_run(out / 'runs/ours/default/seed0')
    record.update(texts='class names', descriptions=str(file))
    save_run(out / 'runs/ours/default/seed0', record)
    more = replace(sweep, seeds=[0, 1])
    more.run(None, select=False)
    line = json.dumps(dict(image='a.jpg', prompt='p', reply='1. A.', descriptions=['A.']))
    file.write_text(line + '\n')
    more.run(None, select=False)  # nothing is left to train
    module._fingerprint.cache_clear()
    with refused('evidence.other_texts', match='ours/default/seed0 was trained with class names'):
        replace(sweep, seeds=[0, 1, 2]).run(None, select=False)
    assert not (out / 'runs/ours/default/seed2').exists()
    file.unlink()
    module._fingerprint.cache_clear()
    replace(sweep, seeds=[0, 1, 2]).run(None, select=False)


def test_a_refused_sweep_leaves_no_folder(configs, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'new' / 'out'
    argv = ['sweep.py', *configs, '--out', str(out), '--grid', 'model.neck.x=1']
    monkeypatch.setattr(sys, 'argv', argv)
    with pytest.raises(SystemExit, match='2'):
        runpy.run_path(str(TOOLS / 'sweep.py'), run_name='__main__')
    assert 'there is no place for it' in capsys.readouterr().err
    assert not out.parent.exists()


def test_likelihood_decides_between_equal_accuracies(tmp_path):
    for alpha, sure in ((0.1, 0.7), (0.2, 0.9), (0.3, 0.8)):
        for seed in (0, 1):
            p = made_up(1.0)
            probs = np.where(p.probs == p.probs.max(1, keepdims=True), sure, (1 - sure) / 2)
            folder = tmp_path / f'select/ours/a={alpha}/seed{seed}'
            save_predictions(folder, replace(p, probs=probs, split='val'))
            save_run(
                folder, dict(method='ours', seed=seed, epochs=[], finished=True, curve_split='val')
            )
    found = Sweep([], [0, 1], [], tmp_path).choose('ours', [{'a': a} for a in (0.1, 0.2, 0.3)])
    assert found['options'] == {'a': 0.2}
    assert found['tried'][0]['log_likelihood'] == pytest.approx([np.log(0.7)] * 2)


def test_each_seed_has_training_images_of_its_own(configs, trained, tmp_path):
    grid, key = ['model.head.alpha=0.01,0.1'], 'train_dataloader.dataset.shot_seed'
    sweep = Sweep(configs[:1], [3, 4], grid, tmp_path / 'out', seeded=[key])
    sweep.run(None, select=True)
    for cfg, _ in trained:
        assert cfg.train_dataloader.dataset.shot_seed == cfg.randomness.seed
        assert 'shot_seed' not in cfg.val_dataloader.dataset
    with refused('evidence.no_such_setting', match='train_dataloder.shot_seed'):
        replace(sweep, seeded=['train_dataloder.shot_seed']).run(None, select=True)


def test_held_out_images_are_of_the_training_data_set(tmp_path):
    cfg = Config.fromstring(CONFIG, '.py')
    cfg.method = 'ours'
    train = dict(
        type='DemoActions', split='train', draw=7, shots=4, shot_seed=2, pipeline=['train']
    )
    cfg.train_dataloader.dataset = train
    for part in ('val', 'test'):
        cfg[f'{part}_dataloader'].dataset = dict(
            type='DemoActions', split='test', draw=9, pipeline=['test']
        )
    held = hold_out_validation(cfg, 0.25).val_dataloader.dataset
    assert held == dict(
        type='DemoActions', split='val', draw=7, val_fraction=0.25, pipeline=['test']
    )


def test_without_selection_every_setting_is_run(configs, trained, tmp_path):
    grid = ['ours:model.head.alpha=0.1,0.2', 'ours:optim_wrapper.optimizer.lr=1,2']
    Sweep(configs, [3, 3], grid, tmp_path / 'out', options={'max_epochs': 5}).run(
        None, select=False
    )
    settings = [(c.method, c.model.head.alpha, c.optim_wrapper.optimizer.lr) for c, _ in trained]
    assert settings == [
        ('ours', 0.1, 1),
        ('ours', 0.1, 2),
        ('ours', 0.2, 1),
        ('ours', 0.2, 2),
        ('other', 0.01, 0.1),
    ]
    assert all(c.randomness.seed == 3 and c.max_epochs == 5 for c, _ in trained)
    names = [m.name for m in load_methods([tmp_path / 'out'])]
    assert names[0] == 'ours [alpha=0.1, lr=1]' and names[-1] == 'other'


def test_grids():
    assert grid_of('a', ['k=1,x,1e-3,None'], ['a']) == [{'k': v} for v in (1, 'x', 1e-3, None)]
    assert grid_of('a', ['b:k=1'], ['a', 'b']) == [{}]
    assert grid_of('a', ['k=1,0x2,2'], ['a']) == [{'k': 1}, {'k': 2}]
    assert grid_of('b', ['b:k=1'], ['a', 'b']) == [{'k': 1}]
    assert slug({'a.b': 1e-3, 'c': 'x/y'}) == 'a.b=0.001,c=x_y'
    for text in ('k', 'k=', '=1', 'c:k=1'):
        with refused('evidence.bad_grid'):
            grid_of('a', [text], ['a', 'b'])


def test_budgets_are_equal():
    check_budgets(dict(a=[{'k': 1}, {'k': 2}], b=[{'x': 1}, {'x': 2}], untuned=[{}]))
    with refused('evidence.other_budgets', match='a 2, b 1'):
        check_budgets(dict(a=[{'k': 1}, {'k': 2}], b=[{'x': 1}]))
    with refused('evidence.nothing_to_choose'):
        check_budgets(dict(a=[{}]))


def test_mistakes_are_named(configs, tmp_path):
    with refused('evidence.same_method'):
        Sweep([configs[0], configs[0]], [0], [], tmp_path).methods()
    with refused('evidence.no_such_setting'):
        Sweep(configs, [0], [], tmp_path).load(Source(configs[0]), {'model.neck.x': 1}, 0)


def test_the_methods_may_name_a_configs_own():
    demo = str(config_folder() / 'lmmreg_demo.py')
    methods = Sweep([demo], [0], [], Path(), put_on=['lmmreg', 'finetune']).methods()
    assert methods == dict(lmmreg=Source(demo), finetune=Source(method_file('finetune'), demo))
    with refused('config.no_method'):
        Sweep([demo], [0], [], Path(), put_on=['lmreg']).methods()


def test_a_config_may_say_what_to_select_on(configs, tmp_path):
    cfg = Config.fromfile(configs[0])
    cfg.method = 'm'
    cfg.selection = dict(val_dataloader=dict(dataset=dict(split='mine')))
    held = hold_out_validation(cfg, 0.2)
    assert held.val_dataloader.dataset.split == 'mine' and held.test_dataloader is None
    assert held.train_dataloader.dataset.get('val_fraction') is None and 'selection' not in held


def test_selecting_on_test_images_is_refused(configs):
    for dataset in (dict(), dict(split_seed=1), dict(split='', type='Other')):
        cfg = Config.fromfile(configs[0])
        cfg.update(method='m', selection=dict(val_dataloader=dict(dataset=dataset)))
        if 'type' in dataset:
            cfg.test_dataloader.dataset.update(dataset)
        with refused('evidence.selects_on_test'):
            hold_out_validation(cfg, 0.2)
    cfg = Config.fromfile(configs[0])
    cfg.method = 'm'
    cfg.train_dataloader.dataset = dict(type='CustomDataset')
    with refused('evidence.no_validation_split'):
        hold_out_validation(cfg, 0.2)


def test_data_sets_inside_wrappers():
    inner = [dict(type='A'), dict(type='B')]
    repeated = dict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=inner))
    assert sorted(d['type'] for d in leaves(dict(dataset=repeated))) == ['A', 'B']
    assert list(leaves(None)) == []


@pytest.mark.slow
def test_a_real_sweep_is_resumed_and_compared(tiny_config, pictures, tmp_path, monkeypatch, capsys):
    tiny_config.pop('work_dir')
    tiny_config.method = 'ours'
    for name, split in (('train', 'train'), ('val', 'test'), ('test', 'test')):
        dataset = tiny_config[f'{name}_dataloader'].dataset
        dataset.pop('data_prefix')
        dataset.update(type='OwnImages', split=split)
    tiny_config.dump(tmp_path / 'ours.py')
    out = tmp_path / 'out'
    argv = ['sweep.py', str(tmp_path / 'ours.py'), '--seeds', '0', '1', '--select', 'val']
    argv += ['--grid', 'model.head.alpha=0.0,0.5', '--jobs', '2', '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', argv)
    runpy.run_path(str(TOOLS / 'sweep.py'), run_name='__main__')
    one_by_one = [*argv[:-1], str(tmp_path / 'one'), '--jobs', '1']
    monkeypatch.setattr(sys, 'argv', one_by_one)
    runpy.run_path(str(TOOLS / 'sweep.py'), run_name='__main__')
    monkeypatch.setattr(sys, 'argv', argv)
    for path in (tmp_path / 'one').rglob('results/*.npz'):
        folder = path.parents[1]
        together = load_predictions(out / folder.relative_to(tmp_path / 'one'), path.stem)
        np.testing.assert_allclose(
            together.probs, load_predictions(folder, path.stem).probs, atol=1e-6
        )
    record = load_run(out / 'select/ours/model.head.alpha=0.5/seed1')
    assert record['curve_split'] == 'val' and list(record['splits']) == ['val']
    assert record['splits']['val']['images'] == 6
    assert record['descriptions'] == str(pictures / 'descriptions.jsonl')
    final = load_run(out / 'runs/ours/default/seed1')['fingerprints']
    ours = record['fingerprints']
    assert ours['descriptions_fingerprint'] == final['descriptions_fingerprint']
    assert ours['train_fingerprint'] != final['train_fingerprint']
    methods = load_methods([out])
    assert [m.name for m in methods] == ['ours', 'ours (tuned)']
    assert [len(m.runs) for m in methods] == [2, 2]
    assert len(methods[0].first.predictions.label) == 12
    written = {path: path.stat().st_mtime_ns for path in out.rglob('run.json')}
    record = load_run(out / 'runs/ours/default/seed1')
    save_run(out / 'runs/ours/default/seed1', dict(record, finished=False))
    runpy.run_path(str(TOOLS / 'sweep.py'), run_name='__main__')
    again = {path for path, time in written.items() if path.stat().st_mtime_ns != time}
    assert again == {out / 'runs/ours/default/seed1/results/run.json'}
    assert load_run(out / 'runs/ours/default/seed1')['epochs'] == record['epochs']
    monkeypatch.setattr(sys, 'argv', [*argv, '--cfg-options', 'train_cfg.max_epochs=3'])
    with pytest.raises(SystemExit, match='2'):
        runpy.run_path(str(TOOLS / 'sweep.py'), run_name='__main__')
    assert 'was trained with another config; take another --out' in capsys.readouterr().err
