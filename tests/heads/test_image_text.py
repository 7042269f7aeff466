import copy
import json

import pytest
import torch
from mmengine.runner import Runner
from mmpretrain import ImageClassificationInferencer
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from refused import refused

from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.hooks.run_folder import load_run

EMOTIONS = 'which emotions?'


@pytest.fixture
def root(pictures, tmp_path):
    """The pictures by another descriptions file: two prompts, one image with three texts."""
    path = tmp_path / 'descriptions.jsonl'
    lines = [json.loads(line) for line in (pictures / 'descriptions.jsonl').open()]
    lines[0]['reply'] = '1. One.\n2. Two.\n3. Three.'
    lines += [dict(image=r['image'], prompt=EMOTIONS, reply='1. Joy.') for r in lines]
    path.write_text('\n'.join(map(json.dumps, lines)))
    return path


@pytest.fixture
def config(config_of, root):
    """The method's own config on the pictures."""
    cfg = config_of('image_text', **{'train_cfg.max_epochs': 1})
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.pipeline[-2].cache = str(root)
    return cfg


def test_classifier_on_both_embeddings_by_hand():
    head = MODELS.build(dict(type='ImageTextHead', num_classes=2, in_channels=2))
    head.fc.weight.data = torch.tensor([[1.0, 0, 0, 2], [0, 1, 1, 0]])
    head.fc.bias.data.zero_()
    head.texts['/a.jpg'] = torch.tensor([5.0, 7.0])
    sample = DataSample(metainfo=dict(img_path='/a.jpg')).set_gt_label(1)
    x = (torch.tensor([[3.0, 4.0]]),)
    # logits 3 + 2 * 7 = 17 and 4 + 5 = 9
    (predicted,) = head.predict(x, [copy.deepcopy(sample)])
    torch.testing.assert_close(predicted.pred_score, torch.tensor([17.0, 9.0]).softmax(0))
    assert head.loss(x, [sample])['loss'].item() == pytest.approx(8, abs=1e-3)


@pytest.mark.parametrize('prompts', [None, [EMOTIONS, 'describe']])
def test_mean_embedding_of_each_images_own_texts(config, pictures, prompts, train):
    config.model.head.prompts = prompts
    runner = train(config)
    head, tower = runner.model.head, TextTower(config.model.backbone.model_name)
    assert len(head.texts) == 24 + 12
    own, emotion = tower.encode(['One.', 'Two.', 'Three.']), tower.encode(['Joy.'])
    parts = [emotion, own] if prompts else [torch.cat([own, emotion])]
    expected = torch.cat([part.mean(0) for part in parts])
    found = head.texts[str(pictures / 'train/red/0.png')]
    torch.testing.assert_close(found, expected)
    assert head.fc.in_features == 24 * (3 if prompts else 2)
    assert load_run(runner.work_dir)['trained_parameters'] == sum(
        p.numel() for p in head.fc.parameters()
    )


def test_testing_fetches_the_texts_of_the_test_images(config, train):
    runner = train(config)
    trained = load_run(runner.work_dir)['epochs'][-1]['accuracy']
    config.load_from = f'{runner.work_dir}/epoch_1.pth'
    tester = Runner.from_cfg(config)
    assert tester.test()['accuracy/top1'] == pytest.approx(100 * trained, abs=1e-4)
    assert len(tester.model.head.texts) == 12


def test_the_inferencer_is_refused_by_name(config, pictures):
    model = MODELS.build(config.model)
    model._config = copy.deepcopy(config)
    model._config.test_dataloader.dataset.pipeline.pop(-2)  # so that the image reaches the head
    inferencer = ImageClassificationInferencer(model, device='cpu')
    with refused('heads.image_not_described'):
        inferencer(str(pictures / 'test' / 'red' / '0.png'))


@pytest.mark.parametrize('missing', ['error', 'skip'])
def test_images_without_descriptions(config, root, pictures, missing, train):
    lines = root.read_text().splitlines()
    root.write_text('\n'.join(line for line in lines if 'train/red/1.png' not in line))
    for part in ('train', 'val', 'test'):
        config[f'{part}_dataloader'].dataset.pipeline[-2].missing = missing
    if missing == 'error':
        with refused('heads.image_not_described'):
            train(config)
    else:
        texts = train(config).model.head.texts
        assert not texts[str(pictures / 'train/red/1.png')].any()
        assert texts[str(pictures / 'train/red/2.png')].any()


def test_a_prompt_that_nothing_was_answered_to(config, train):
    config.model.head.prompts = ['describe', 'what else?']
    config.train_dataloader.dataset.pipeline[-2].missing = 'skip'
    with refused('heads.image_not_described'):
        train(config)


def test_a_pipeline_without_descriptions(config, train):
    config.train_dataloader.dataset.pipeline.pop(-2)
    with refused('text.no_attach'):
        train(config)
