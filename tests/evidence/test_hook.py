"""What a run writes down about itself, by running it."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModule
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample
from PIL import Image
from refused import refused

from mmpretrain_lmmreg.evidence.runs import load_methods
from mmpretrain_lmmreg.hooks.record import join_rows
from mmpretrain_lmmreg.hooks.results import ResultsHook
from mmpretrain_lmmreg.hooks.run_folder import load_predictions, load_run, save_run
from mmpretrain_lmmreg.runner import LMMRegRunner


@pytest.fixture(scope='module', autouse=True)
def components():
    """A backbone of mean colours and a hook that breaks off, known to the registries here only."""

    class MeanColour(BaseModule):
        def forward(self, images):
            return (images.mean(dim=(2, 3)),)

    class BreakOff(Hook):
        def after_train_epoch(self, runner):
            if runner.epoch == 2:  # counted from 0: during the third
                raise KeyboardInterrupt

    MODELS.register_module(module=MeanColour, force=True)
    HOOKS.register_module(module=BreakOff, force=True)
    yield
    MODELS.module_dict.pop('MeanColour')
    HOOKS.module_dict.pop('BreakOff')


@pytest.fixture
def config(tmp_path) -> Config:
    """Two classes of plain pictures; 4 epochs, tested after each."""
    for split, count in (('train', 4), ('test', 3)):
        for label, colour in enumerate(((200, 30, 30), (30, 30, 200))):
            (tmp_path / split / f'c{label}').mkdir(parents=True)
            for i in range(count):
                image = Image.new('RGB', (8, 8), tuple(c + 5 * i for c in colour))
                image.save(tmp_path / split / f'c{label}' / f'{i}.png')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]

    def loader(split):
        return dict(
            batch_size=4,
            num_workers=0,
            collate_fn=dict(type='default_collate'),
            sampler=dict(type='DefaultSampler', shuffle=split == 'train'),
            dataset=dict(
                type='CustomDataset', data_root=str(tmp_path), data_prefix=split, pipeline=pipeline
            ),
        )

    return Config(
        dict(
            method='toy',
            protocol='split 1',
            default_scope='mmpretrain',
            work_dir=str(tmp_path / 'run'),
            model=dict(
                type='ImageClassifier',
                backbone=dict(type='MeanColour'),
                head=dict(type='LinearClsHead', num_classes=2, in_channels=3),
                data_preprocessor=dict(mean=[128] * 3, std=[64] * 3),
            ),
            train_dataloader=loader('train'),
            val_dataloader=loader('test'),
            test_dataloader=loader('test'),
            val_evaluator=dict(type='Accuracy'),
            test_evaluator=dict(type='Accuracy'),
            train_cfg=dict(by_epoch=True, max_epochs=4, val_interval=1),
            val_cfg=dict(),
            test_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
                results=dict(type='ResultsHook'),
            ),
            randomness=dict(seed=7),
            log_level='ERROR',
            experiment_name=tmp_path.name,
        )
    )


def run_of(config, **changes):
    changed = Config(dict(config.to_dict(), **changes))
    changed.experiment_name += str(sorted(changes))
    return LMMRegRunner.from_cfg(changed)


def test_a_finished_run(config, tmp_path):
    runner = run_of(config)
    runner.message_hub.update_info('trunk_fingerprint', 'abc')
    runner.train()
    run, predictions = load_run(tmp_path / 'run'), load_predictions(tmp_path / 'run')
    assert [e['epoch'] for e in run['epochs']] == [1, 2, 3, 4]
    assert predictions.label.tolist() == [0, 0, 0, 1, 1, 1]
    assert predictions.probs.shape == (6, 2)
    assert predictions.rel_path[0] == 'test/c0/0.png' and run['data_root'] == str(tmp_path)
    assert predictions.group.tolist() == predictions.rel_path.tolist()
    assert run['epochs'][-1]['accuracy'] == run['splits']['test']['accuracy']
    assert run['splits']['test'] == dict(
        images=6, accuracy=predictions.correct.mean(), epoch=4, checkpoint=None
    )
    expected = dict(method='toy', protocol='split 1', seed=7, trained_parameters=8, finished=True)
    assert {key: run[key] for key in expected} == expected
    assert run['classes'] == ['c0', 'c1'] and run['settings']['model.head.type'] == 'LinearClsHead'
    prints = run['fingerprints']
    assert prints['trunk_fingerprint'] == 'abc'
    assert set(prints) == {'trunk_fingerprint', 'train_fingerprint', 'test_fingerprint'}
    assert prints['train_fingerprint'] != prints['test_fingerprint']
    assert {'python', 'torch', 'numpy'} <= set(run['versions'])
    assert 0 < run['epochs'][0]['seconds'] < run['train_seconds']


def test_predictions_are_those_of_the_last_epoch(config, tmp_path):
    runner = run_of(config)
    runner.train()
    inputs = torch.stack(
        [torch.full((3, 8, 8), 0.0) + torch.tensor([30, 30, 200]).view(3, 1, 1)]
    )  # PIL's c1/0.png; the files are read as BGR, the mean and std are the same for each channel
    with torch.no_grad():
        scores = runner.model.head((((inputs.flip(1) - 128) / 64).mean(dim=(2, 3)),)).softmax(1)
    probs = load_predictions(tmp_path / 'run').probs
    np.testing.assert_allclose(probs[3], scores[0], atol=1e-6)


def test_a_resumed_run_has_the_whole_curve(config, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_of(config, custom_hooks=[dict(type='BreakOff')]).train()
    broken = load_run(tmp_path / 'run')
    assert [e['epoch'] for e in broken['epochs']] == [1, 2] and not broken['finished']
    run_of(config, resume=True).train()
    run = load_run(tmp_path / 'run')
    assert [e['epoch'] for e in run['epochs']] == [1, 2, 3, 4] and run['finished']
    assert run['epochs'][:2] == broken['epochs']
    assert run['train_seconds'] > broken['epochs'][-1]['seconds']


@pytest.mark.parametrize('lost', [1, 2])
def test_an_epoch_killed_before_its_record_is_on_the_resumed_curve(config, tmp_path, lost):
    run_of(config).train()
    whole = load_run(tmp_path / 'run')
    shutil.rmtree(tmp_path / 'run')
    with pytest.raises(KeyboardInterrupt):
        run_of(config, custom_hooks=[dict(type='BreakOff')]).train()
    record = load_run(tmp_path / 'run')
    record['epochs'] = [entry for entry in record['epochs'] if entry['epoch'] < lost]
    save_run(tmp_path / 'run', record)
    for epoch in range(lost + 1, 3):  # so that it goes on from the one that was lost
        (tmp_path / 'run' / f'epoch_{epoch}.pth').unlink()
    run_of(config, resume=True).train()
    run = load_run(tmp_path / 'run')
    assert [e['epoch'] for e in run['epochs']] == [1, 2, 3, 4] and run['finished']
    assert [e['accuracy'] for e in run['epochs']] == [e['accuracy'] for e in whole['epochs']]
    seconds = [e['seconds'] for e in run['epochs']]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_a_new_run_in_the_same_folder_starts_a_new_curve(config, tmp_path):
    run_of(config).train()
    run_of(config, randomness=dict(seed=8)).train()
    run = load_run(tmp_path / 'run')
    assert [e['epoch'] for e in run['epochs']] == [1, 2, 3, 4] and run['seed'] == 8


def test_a_run_that_did_not_validate_at_its_end_is_validated_once(config, tmp_path):
    run_of(config, train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=9)).train()
    run = load_run(tmp_path / 'run')
    assert [e['epoch'] for e in run['epochs']] == [2] and run['finished']


def test_testing_a_checkpoint_elsewhere(config, tmp_path):
    run_of(config).train()
    checkpoint = str(tmp_path / 'run' / 'epoch_4.pth')
    run_of(config, load_from=checkpoint, work_dir=str(tmp_path / 'again')).test()
    again = load_run(tmp_path / 'again')
    assert again['seed'] == 7 and again['splits']['test']['epoch'] == 4 and again['finished']
    np.testing.assert_array_equal(
        load_predictions(tmp_path / 'again').probs, load_predictions(tmp_path / 'run').probs
    )
    json.dumps(again)


def folder_results(folder):
    return {path.name: path.read_bytes() for path in (folder / 'results').glob('*.npz')}


@pytest.fixture
def finished(config, tmp_path):
    """Folder of a finished run with a checkpoint of each epoch."""
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    run_of(config).train()
    return tmp_path / 'run'


def test_another_epoch_never_replaces_the_results_of_a_finished_run(config, finished, caplog):
    before, record = folder_results(finished), load_run(finished)
    run_of(config, load_from=str(finished / 'epoch_2.pth')).test()
    after = folder_results(finished)
    assert after.pop('test@epoch_2.npz') and after == before
    run = load_run(finished)
    other = run['splits'].pop('test@epoch_2')
    assert other['epoch'] == 2 and other['checkpoint'] == str(finished / 'epoch_2.pth')
    assert run['splits'] == record['splits'] and run['epochs'] == record['epochs']
    assert not np.array_equal(
        load_predictions(finished, 'test@epoch_2').probs, load_predictions(finished).probs
    )


def test_the_last_epoch_may_be_tested_again(config, finished):
    before = load_predictions(finished)
    run_of(config, load_from=str(finished / 'epoch_4.pth')).test()
    assert set(folder_results(finished)) == {'test.npz'}
    np.testing.assert_array_equal(load_predictions(finished).probs, before.probs)
    assert load_run(finished)['splits']['test']['checkpoint'] == str(finished / 'epoch_4.pth')


def test_other_images_and_other_runs_have_files_of_their_own(config, finished, tmp_path):
    before = folder_results(finished)
    other = config.to_dict()['test_dataloader']
    other['dataset']['indices'] = 4
    run_of(config, load_from=str(finished / 'epoch_4.pth'), test_dataloader=other).test()
    assert load_run(finished)['splits']['test@epoch_4']['images'] == 4
    run_of(config, work_dir=str(tmp_path / 'other'), randomness=dict(seed=8)).train()
    run_of(config, load_from=str(tmp_path / 'other' / 'epoch_4.pth')).test()
    assert load_run(finished)['splits']['test@epoch_4']['images'] == 6
    after = folder_results(finished)
    assert after.pop('test@epoch_4.npz') and after == before


def test_a_tested_epoch_of_an_unfinished_run_is_not_its_result(config, tmp_path):
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    with pytest.raises(KeyboardInterrupt):
        run_of(config, custom_hooks=[dict(type='BreakOff')]).train()
    run_of(config, load_from=str(tmp_path / 'run' / 'epoch_1.pth')).test()
    assert set(load_run(tmp_path / 'run')['splits']) == {'test@epoch_1'}
    run_of(config, resume=True).train()
    assert load_run(tmp_path / 'run')['splits']['test']['epoch'] == 4


def test_images_that_were_not_predicted_are_an_error():
    infos = [dict(img_path='/a.jpg'), dict(img_path='/b.jpg')]
    with refused('hooks.images_not_predicted', match='1 images of the test split .* /b.jpg'):
        join_rows({'/a.jpg': (0, np.ones(1))}, infos, 'test')


def test_padding_and_order_of_several_processes_fall_away():
    infos = [dict(img_path=f'/{c}.jpg', rel_path=f'{c}.jpg', group=3) for c in 'abc']
    parts = [
        {'/a.jpg': (0, [0.5]), '/c.jpg': (0, [0.7])},
        {'/b.jpg': (0, [0.6]), '/a.jpg': (0, [0.5])},
    ]
    rows = {path: row for part in parts for path, row in part.items()}
    joined = join_rows(rows, infos, 'test')
    assert joined.rel_path.tolist() == ['a.jpg', 'b.jpg', 'c.jpg']
    np.testing.assert_allclose(joined.probs[:, 0], [0.5, 0.6, 0.7])
    assert joined.group.tolist() == ['3', '3', '3']


def test_samples_without_a_name_or_with_several_labels_are_refused():
    hook, nameless = ResultsHook(), DataSample().set_gt_label(0)
    with refused('hooks.unusable_sample'):
        hook.after_val_iter(None, 0, outputs=[nameless])
    several = DataSample(metainfo=dict(img_path='x.jpg')).set_gt_label([0, 1])
    with refused('hooks.unusable_sample', match='x.jpg'):
        hook.after_val_iter(None, 0, outputs=[several])


def test_names_the_feature_table_that_it_was_trained_from(tiny_config, tmp_path):
    LMMRegRunner.from_cfg(tiny_config).train()
    (folder,) = (tmp_path / 'cache' / 'features').iterdir()
    assert load_run(tiny_config.work_dir)['fingerprints']['features_fingerprint'] == folder.name


def test_killed_after_the_last_checkpoint(tiny_config):
    tiny_config.default_hooks.checkpoint = dict(type='AtomicCheckpointHook', interval=1)
    LMMRegRunner.from_cfg(tiny_config).train()
    work_dir = Path(tiny_config.work_dir)
    named, before = (work_dir / 'last_checkpoint').read_text(), load_run(work_dir)
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_1.pth'))
    killed = {**before, 'finished': False, 'splits': {}}
    killed['fingerprints'] = {'train_fingerprint': before['fingerprints']['train_fingerprint']}
    save_run(work_dir, killed)
    tiny_config.merge_from_dict(dict(resume=True, experiment_name='resumed'))
    LMMRegRunner.from_cfg(tiny_config).train()
    after = load_run(work_dir)
    assert (work_dir / 'last_checkpoint').read_text() == named
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {'settings'}  # which say resume=True
    tiny_config.merge_from_dict(dict(resume=False, load_from=named))
    LMMRegRunner.from_cfg(tiny_config).test()
    assert [path.name for path in (work_dir / 'results').glob('*.npz')] == ['test.npz']


def test_texts_are_those_of_a_method_that_reads_them(tiny_config, pictures, tmp_path):
    """Fine-tuning on described images uses none; 'auto' says which it found."""

    def record(name, **changes):
        cfg = copy.deepcopy(tiny_config)
        cfg.merge_from_dict({'work_dir': str(tmp_path / name), **changes})
        LMMRegRunner.from_cfg(cfg).train()
        run = load_run(cfg.work_dir)
        return (
            run['texts'],
            run['descriptions'],
            run['fingerprints'].get('descriptions_fingerprint'),
        )

    file, auto = str(pictures / 'descriptions.jsonl'), {'default_hooks.class_means.source': 'auto'}
    texts, path, used = record('described')
    assert (texts, path) == ('descriptions', file) and used
    assert record('auto', **auto) == ('descriptions', file, used)
    assert record('finetune', **{'model.head.alpha': 0}) == (None, None, None)
    assert record('names', **{'default_hooks.class_means.source': 'class_names'})[0] is None
    for transform in tiny_config.train_dataloader.dataset.pipeline:
        if transform['type'] == 'AttachDescriptions':
            transform.update(cache=str(tmp_path / 'none.jsonl'), missing='skip')
    nothing = record('undescribed', **auto)
    assert nothing == ('class names', str(tmp_path / 'none.jsonl'), None)
    seeds = [tmp_path / 'auto', tmp_path / 'undescribed']
    for seed, folder in enumerate(seeds):
        save_run(folder, {**load_run(folder), 'seed': seed})
    with refused(
        'evidence.mixed_runs', match='texts differ: descriptions with seed 0; class names'
    ):
        load_methods(seeds)


def test_scores_that_are_not_finite_name_image_and_checkpoint(tiny_config):
    LMMRegRunner.from_cfg(tiny_config).train()
    path = Path(tiny_config.work_dir) / 'epoch_2.pth'
    runner = LMMRegRunner.from_cfg(dict(tiny_config, load_from=str(path)))
    before = folder_results(Path(tiny_config.work_dir))
    runner.load_or_resume()
    with torch.no_grad():
        runner.model.head.fc.weight[0, 0] = float('nan')
    with refused('hooks.scores_not_finite', match=r'test/blue/\d.png .*epoch_2.pth'):
        runner.test()
    assert folder_results(Path(tiny_config.work_dir)) == before
