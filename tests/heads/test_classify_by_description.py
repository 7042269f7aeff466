"""Classification by descriptors: numbers, texts, and what explains a class."""

import json

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from refused import refused
from torch.nn.functional import normalize

from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.deploy.classifier import load_classifier
from mmpretrain_lmmreg.deploy.explain import Explainer
from mmpretrain_lmmreg.heads.classify_by_description import descriptor_text, descriptors_in

DESCRIPTORS = {
    'red': ['long tail', 'a warm colour', 'A red picture.'],
    'green': ['often of leaves', 'used for grass'],
    'blue': ['can be the sky'],
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'descriptors.json'
    path.write_text(json.dumps(DESCRIPTORS))
    return str(path)


def test_texts_as_the_authors_form_them():
    expected = {
        'long tail': 'cliff diving, which has long tail',
        'a warm colour': 'cliff diving, which is a warm colour',
        'used for grass': 'cliff diving, which is used for grass',
        'has wings': 'cliff diving, which has wings',
        'may be wet': 'cliff diving, which may be wet',
        'A man dives.': 'A man dives.',
    }
    for descriptor, text in expected.items():
        assert descriptor_text('cliff diving', descriptor) == text


def test_a_class_scores_the_mean_cosine_not_that_of_the_mean():
    head = MODELS.build(
        dict(type='ClassifyByDescriptionHead', num_classes=2, in_channels=2, logit_scale=10.0)
    )
    head.take_text_means(torch.tensor([[0.5, 0.5], [0.0, 1.0]]))  # of (1, 0) and (0, 1); of (0, 1)
    torch.testing.assert_close(head((torch.tensor([[3.0, 4.0]]),)), torch.tensor([[7.0, 8.0]]))


def test_from_a_file_without_descriptions(config_of, train, file, pictures):
    cfg = config_of('classify_by_description', **{'model.head.sentences': file})
    cfg.train_cfg.max_epochs = 1
    pipeline = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset.pipeline = [t for t in pipeline if t.type != 'AttachDescriptions']
    runner = train(cfg)
    classes = runner.train_dataloader.dataset.source.metainfo['classes']
    tower = TextTower(cfg.model.backbone.model_name)
    for c, name in enumerate(classes):
        texts = [descriptor_text(name, text) for text in DESCRIPTORS[name]]
        expected = F.normalize(tower.encode(texts), dim=1).mean(0)
        torch.testing.assert_close(runner.model.head.text_weights[c], expected)
    cfg.dump(f'{runner.work_dir}/own.py')
    classifier = load_classifier(f'{runner.work_dir}/own.py', f'{runner.work_dir}/epoch_1.pth')
    explainer = Explainer(classifier)
    path = next((pictures / 'test').rglob('*.*'))
    embedding, probabilities = classifier([classifier.read(str(path))])
    likeliest = classes[int(probabilities[0].argmax())]
    found = explainer.closest(embedding[0], 9)
    assert {each['text'] for each in found} == {
        descriptor_text(likeliest, text) for text in DESCRIPTORS[likeliest]
    }
    vectors = F.normalize(tower.encode([each['text'] for each in found]), dim=1)
    cosines = (vectors @ normalize(embedding[0], dim=0)).tolist()
    assert [each['similarity'] for each in found] == pytest.approx(cosines, abs=1e-5)
    assert cosines == sorted(cosines, reverse=True)


def test_from_the_descriptions_as_they_are(config_of, train):
    cfg = config_of('classify_by_description', **{'train_cfg.max_epochs': 1})
    plain = train(config_of('zero_shot_descriptions', **{'train_cfg.max_epochs': 1}))
    runner = train(cfg)
    cosine = torch.cosine_similarity(runner.model.head.text_weights, plain.model.head.text_weights)
    assert runner.model.head.text_weights.norm(dim=1).max() < 1 and cosine.min() > 0.9


def test_a_class_without_any(file):
    with refused('text.class_without_sentences'):
        descriptors_in(file, ['red', 'white'])
