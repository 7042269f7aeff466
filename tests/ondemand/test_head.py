"""The head in training: which replies it reads, and what it does without any."""

import os

import pytest
import torch

from mmpretrain_lmmreg.descriptions.lines import encode
from mmpretrain_lmmreg.heads import ClassMeanRegHead, LogisticRegressionHead, describe_on_demand
from mmpretrain_lmmreg.runner import LMMRegRunner

ONE, TEN = 'Describe the image in one sentence.', 'Give 10 semantic descriptions for the image'
HEAD = dict(type='DescribeOnDemandHead', num_classes=3, in_channels=24)


@pytest.fixture
def train(tiny_config, pictures, tmp_path):
    """A function: the head after training with replies to prompts, naming the class or not."""

    def run(replies, kind='ZeroShotHead', inner=None, **settings):
        cache = tmp_path / 'replies.jsonl'
        images = sorted(path.relative_to(pictures) for path in pictures.glob('train/*/*'))
        with cache.open('wb') as file:
            for prompt, text in replies.items():
                for image in images:
                    reply = text.format(image.parent.name)
                    file.write(encode(dict(image=image.as_posix(), prompt=prompt, reply=reply)))
        inner = dict(
            type=kind, **(inner or {})
        )  # zero-shot by random towers is no better than chance
        tiny_config.model.head = dict(HEAD, classifier=inner, cache=str(cache), **settings)
        tiny_config.train_cfg.max_epochs = 1
        runner = LMMRegRunner.from_cfg(tiny_config)
        runner.train()
        return runner.model.head

    return run


def test_only_replies_to_its_own_prompts_are_read(train):
    emotions = {'Give 10 emotions': '1. {}', ONE: '1. A picture.'}
    head = train(emotions)
    named = train(emotions, prompts=['Give 10 emotions'])
    assert head.curve[-1, 2] < 1 and not head.exponents[2]
    assert named.curve[-1, 2] == 1 and named.exponents[2]


def test_the_shorter_request_comes_first(train):
    head = train({TEN: '1. Noise.', ONE: 'A {} one.'})
    assert head.reader().prompts == (ONE, TEN) and head.curve[-1, 2] == 1


@pytest.mark.parametrize('kind', ['ZeroShotHead', 'ClassMeanRegHead'])
@pytest.mark.parametrize('exponent', [0.0, 3.0])
def test_without_replies_the_exponent_is_what_the_user_says(train, exponent, kind):
    inner = dict(alpha=0) if kind == 'ClassMeanRegHead' else None
    head = train({'another prompt': '{}'}, kind, inner, exponent=exponent)
    assert head.exponents[1:].tolist() == [exponent, 0]
    assert bool(head.text_weight.any()) == bool(exponent) and not head.curve.any()
    rows = head.reader().unsure(torch.full((4, 3), 1 / 3), 0.5)
    assert len(rows) == (2 if exponent else 0)


def test_no_image_is_scored_by_a_classifier_that_saw_it(train, monkeypatch):
    seen, scored = [], []
    fit, forward = LogisticRegressionHead.fit, LogisticRegressionHead.forward

    def watched_fit(self, x, labels):
        seen.append(x)
        fit(self, x, labels)

    def watched_forward(self, feats):
        scored.append((feats[0], seen[-1]))
        return forward(self, feats)

    monkeypatch.setattr(LogisticRegressionHead, 'fit', watched_fit)
    monkeypatch.setattr(LogisticRegressionHead, 'forward', watched_forward)
    train({ONE: 'A {} one.'}, 'LogisticRegressionHead')
    assert len(seen) == 1 + 5 and sum(len(x) for x in seen) == 24 + 4 * 24
    for images, others in scored[:5]:  # before training
        assert not (images[:, None] == others).all(-1).any()


def test_exponents_are_found_on_images_that_no_step_trains_on(train, monkeypatch):
    trained, found_on = set(), []
    loss, fit_product = ClassMeanRegHead.loss, describe_on_demand.fit_product

    def watched_loss(self, feats, data_samples, **kwargs):
        trained.update(os.path.abspath(sample.img_path) for sample in data_samples)
        return loss(self, feats, data_samples, **kwargs)

    def watched_fit(image, texts, *rest):
        found_on.append((len(image), len(texts)))
        return fit_product(image, texts, *rest)

    monkeypatch.setattr(ClassMeanRegHead, 'loss', watched_loss)
    monkeypatch.setattr(describe_on_demand, 'fit_product', watched_fit)
    head = train({ONE: 'A {} one.'}, 'ClassMeanRegHead', inner=dict(alpha=0))
    assert not trained & head.held and len(trained) + len(head.held) == 24
    assert found_on == [(len(head.held),) * 2] and 3 <= len(head.held) <= 8


@pytest.mark.parametrize('kind', ['CapSAdapterHead', 'NoLAHead'])
def test_a_part_of_the_images_has_its_own_texts_and_features(train, kind):
    """Images that are held out do not fit the classifier that scores them."""
    head = train({ONE: 'A {} one.'}, kind)
    assert head.exponents.any()
    if head.inputs:
        part = head.inputs.subset(torch.arange(24) % 4 == 0)
        assert len(part.trunk_features()) == len(list(part.infos)) == len(part.groups) == 6
        assert [counter.total() for counter in part.descriptions[1]] == [4, 4, 4]
