import pytest
import torch
import torch.nn.functional as F
from refused import refused
from torch.nn.functional import normalize

from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.heads import GDAHead, WiSEFTHead
from mmpretrain_lmmreg.hooks.run_folder import load_run
from mmpretrain_lmmreg.text.class_sentences import collect_descriptions
from mmpretrain_lmmreg.text.embedding import embed_class_means

CLASSES = ('blue', 'green', 'red')


def test_zero_shot_weights_are_the_embedded_prompts(config_of, train):
    cfg = config_of('zero_shot')
    templates = ['a photo of a {}.', 'a {} picture.']
    head = train(cfg, **{'model.head.templates': templates}).model.head
    tower = TextTower(cfg.model.backbone.model_name)
    for c, name in enumerate(CLASSES):
        prompts = F.normalize(tower.encode([t.format(name) for t in templates]), dim=1)
        expected = normalize(prompts.mean(0), dim=0)
        torch.testing.assert_close(head.text_weights[c], expected)


def test_description_weights_are_the_class_means(config_of, train):
    runner = train(config_of('zero_shot_descriptions'))
    texts = collect_descriptions(runner.train_dataloader.dataset.source, 3)
    tower = TextTower(runner.model.backbone.model_name)
    means = embed_class_means(*texts, tower, normalize=False)
    torch.testing.assert_close(runner.model.head.text_weights, normalize(means, dim=1))


def test_the_cache_holds_the_embeddings_of_the_training_images(config_of, train):
    runner = train(config_of('tip_adapter'))
    head, dataset = runner.model.head, runner.train_dataloader.dataset.source
    assert len(head.keys) == 24
    assert torch.bincount(head.key_labels).tolist() == [8, 8, 8]
    data = dataset[9]
    with torch.no_grad():
        batch = runner.model.data_preprocessor(dict(inputs=[data['inputs']]))
        x = runner.model.extract_feat(batch['inputs'])[0]
    torch.testing.assert_close(head.keys[9:10], normalize(x, dim=1), rtol=1e-4, atol=1e-5)
    assert head.key_labels[9] == data['data_samples'].gt_label


def test_repeated_images_count_as_often(config_of, train):
    cfg = config_of('tip_adapter')
    images = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=images)
    assert len(train(cfg).model.head.keys) == 48


def test_the_head_is_fitted_once_not_in_each_epoch(config_of, train, monkeypatch):
    fits = []
    fit = WiSEFTHead.take_text_means
    monkeypatch.setattr(
        WiSEFTHead, 'take_text_means', lambda self, *a: (fits.append(a), fit(self, *a))
    )
    head = train(config_of('wise_ft'), **{'train_cfg.max_epochs': 3}).model.head
    assert len(fits) == 1
    assert not torch.equal(head.fc.weight, head.logit_scale * head.text_weights)


def test_nothing_to_train_on_images(config_of, train):
    cfg = config_of('gda')
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
    with refused('hooks.nothing_trains'):
        train(cfg)


def test_a_finished_run_is_not_fitted_again(config_of, train, monkeypatch):
    cfg = config_of('gda')
    train(cfg)
    monkeypatch.setattr(GDAHead, 'fit', None)
    assert train(cfg, resume=True).model.head.gda_weight.any()


@pytest.mark.parametrize('method', ['logreg', 'image_text'])
@pytest.mark.parametrize(('half', 'count'), [(None, 3), ('base', 2)])
def test_one_shot_and_class_halves(method, half, count, config_of, train, pictures):
    cfg = config_of(method)
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    for part, split in (('train', 'train'), ('val', 'test')):
        pipeline = cfg[f'{part}_dataloader'].dataset.pipeline
        cfg[f'{part}_dataloader'].dataset = dict(
            type='OwnImages',
            data_root=str(pictures),
            split=split,
            class_half=half,
            shots=1 if part == 'train' else None,
            pipeline=pipeline,
        )
    runner = train(cfg, **{'model.head.num_classes': count, 'train_cfg.max_epochs': 1})
    assert len(runner.train_dataloader.dataset) == count
    assert load_run(runner.work_dir)['splits']['test']['images'] == 4 * count
