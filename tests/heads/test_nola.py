"""NoLA: pseudo-labels by hand, no label of an image anywhere, and the supervised method in it."""

import json

import pytest
import torch
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS, MODELS
from mmpretrain.structures import DataSample
from refused import refused
from torch.nn.functional import cross_entropy

from mmpretrain_lmmreg.features.dataset import image_embeddings
from mmpretrain_lmmreg.heads.nola import NoLAHead, surest, train_labeller

STEPS = {'param_scheduler': [], 'model.head.epochs': 30}


@DATASETS.register_module()
class Relabelled(CustomDataset):
    """The pictures in their order, with their labels shifted, or without any."""

    def __init__(self, labels, **kwargs):
        self.labels = labels
        super().__init__(**kwargs)

    def load_data_list(self):
        infos = super().load_data_list()
        for info in infos:
            if self.labels == 'none':
                info.pop('gt_label')
            else:
                info['gt_label'] = (info['gt_label'] * 2 + 1) % 3
        return infos


@pytest.fixture
def nola(config_of, tmp_path):
    """A function: name, options -> the method's config with a work folder of its own."""

    def build(name, **options):
        return config_of('nola', **{**STEPS, 'work_dir': str(tmp_path / name), **options})

    return build


def weights(runner):
    return runner.model.head.weight.detach().clone()


def true_labels(runner):
    dataset = runner.train_loop.dataloader.dataset.source
    return torch.tensor([dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))])


def test_the_surest_of_each_class():
    probabilities = torch.tensor(
        [[0.6, 0.3, 0.1], [0.9, 0.0, 0.1], [0.4, 0.6, 0.0], [0.5, 0.2, 0.3], [0.7, 0.2, 0.1]]
    )
    rows, labels = surest(probabilities, 2)
    assert rows.tolist() == [1, 4, 2, 3, 0]  # nobody's likeliest is class 2
    assert labels.tolist() == [0, 0, 1, 2, 2]
    assert surest(probabilities, 9)[0].tolist()[:5] == [1, 4, 0, 3, 2]


def test_the_labeller_learns_what_it_is_shown_and_leaves_random_numbers_alone():
    torch.manual_seed(0)
    features, labels = torch.randn(20, 5), torch.arange(20) % 3
    features += 3 * torch.eye(5)[labels]
    before = torch.random.get_rng_state()
    network = train_labeller(features, labels, 3, epochs=50)
    assert torch.equal(before, torch.random.get_rng_state())
    assert (network(features).argmax(1) == labels).all()


@pytest.mark.parametrize('labels', ['shifted', 'none'])
def test_labels_change_nothing(labels, nola, train):
    expected = train(nola('true'))
    cfg = nola(labels)
    cfg.train_dataloader.dataset.update(type='Relabelled', labels=labels)
    runner = train(cfg)
    if labels == 'shifted':
        assert not torch.equal(true_labels(runner), true_labels(expected))
    assert torch.equal(weights(runner), weights(expected))
    assert (weights(runner) - runner.model.head.text_weights).abs().max() > 1e-4


def test_with_the_true_labels_it_is_a_supervised_linear_probe(nola, train, monkeypatch):
    def true(self, inputs):
        return inputs.image_embeddings[1]

    monkeypatch.setattr(NoLAHead, 'label', true)
    runner = train(nola('given', **{'train_dataloader.batch_size': 512}))
    assert torch.equal(runner.model.head.pseudo_labels, true_labels(runner))
    # the authors' third step by hand: embeddings as they are, AdamW, labels smoothed by 0.1
    x, labels = image_embeddings(runner.model, runner.train_dataloader)
    weight = runner.model.head.text_weights.clone().requires_grad_()
    optimizer = torch.optim.AdamW([weight], lr=4e-3, weight_decay=0.01)
    for _ in range(2):  # 24 images are one batch
        optimizer.zero_grad()
        cross_entropy(x @ weight.T, labels, label_smoothing=0.1).backward()
        optimizer.step()
    torch.testing.assert_close(weights(runner), weight.detach(), rtol=1e-4, atol=1e-5)


def test_another_tower_labels(nola, train, tiny_timm, monkeypatch):
    seen = []
    learn = train_labeller
    monkeypatch.setattr(
        'mmpretrain_lmmreg.heads.nola.train_labeller',
        lambda features, *rest: (seen.append(features.shape[1]), learn(features, *rest))[1],
    )
    train(nola('own'))
    train(nola('other', **{'model.head.tower': tiny_timm[0]}))
    assert seen == [32, 12]


def test_sentences(nola, train, tmp_path):
    sentences = {name: [f'{name} noise everywhere'] for name in ('red', 'green', 'blue')}
    (tmp_path / 'sentences.json').write_text(json.dumps(sentences))
    plain = train(nola('plain')).model.head
    told = train(nola('told', **{'model.head.sentences': str(tmp_path / 'sentences.json')}))
    assert (told.model.head.text_weights - plain.text_weights).abs().max() > 1e-3


def test_use_that_does_not_work():
    head = MODELS.build(dict(type='NoLAHead', num_classes=2, in_channels=2))
    head.take_text_means(torch.eye(2))
    sample = DataSample(metainfo=dict(img_path='a.png')).set_gt_label(0)
    with refused('heads.not_set_up'):
        head.loss((torch.ones(1, 2),), [sample])
    head.rows = {'a.png': 0}
    with refused('heads.mixed_images'):
        head.loss((torch.ones(1, 2),), [sample.set_gt_score(torch.ones(2) / 2)])
