"""Numbers of the heads that are fitted at once, against independent implementations."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from refused import refused
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from mmpretrain_lmmreg.heads.gda import gaussian_classifier

CLASSES, DIM = 3, 4
TYPES = ['ZeroShotHead', 'TipAdapterHead', 'GDAHead', 'LogisticRegressionHead']


def build(type_, **kwargs):
    return MODELS.build(dict(type=type_, num_classes=CLASSES, in_channels=DIM, **kwargs))


def fit(head, x, labels, texts):
    for method, arguments in (('take_text_means', (texts,)), ('fit', (x, labels))):
        if hasattr(head, method):
            getattr(head, method)(*arguments)


@pytest.fixture
def data():
    """Embeddings, labels with 4, 3 and 5 images a class, and text means."""
    torch.manual_seed(0)
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 0, 2, 1, 2, 2, 0])
    return torch.randn(12, DIM) + 2 * torch.eye(CLASSES, DIM)[labels], labels, torch.randn(3, DIM)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_zero_shot_by_hand():
    head = build('ZeroShotHead', logit_scale=10.0)
    head.take_text_means(torch.tensor([[3.0, 0, 4, 0], [0, 2, 0, 0], [0, 0, 0, 1]]))
    # cosines of (3, 4, 0, 0): 9 / 25, 4 / 5, 0
    logits = head((torch.tensor([[3.0, 4, 0, 0]]),))
    torch.testing.assert_close(logits, torch.tensor([[3.6, 8.0, 0.0]]))


def test_tip_adapter_against_loops(data):
    x, labels, texts = data
    head = build('TipAdapterHead', alpha=1.5, beta=3.0)
    fit(head, x, labels, texts)
    query = torch.randn(5, DIM)
    keys, f, t = unit(x.numpy()), unit(query.numpy()), unit(texts.numpy())
    expected = np.zeros((5, CLASSES))
    for i in range(5):
        for c in range(CLASSES):
            expected[i, c] = 100 * f[i] @ t[c]
        for key, label in zip(keys, labels, strict=True):
            expected[i, label] += 1.5 * np.exp(-3.0 * (1 - f[i] @ key))
    np.testing.assert_allclose(head((query,)), expected, rtol=1e-5)


def test_tip_adapter_f_starts_as_tip_adapter(data):
    query = torch.randn(5, DIM)
    heads = [build('TipAdapterHead', train_keys=trained) for trained in (False, True)]
    for head in heads:
        fit(head, *data)
    assert torch.equal(heads[0]((query,)), heads[1]((query,)))
    assert [p.requires_grad for p in heads[1].parameters()] == [True]


def test_gda_against_scikit_learn_with_the_same_covariance(data):
    x, labels, _ = data
    x = x.double()
    centred = np.concatenate([x[labels == c] - x[labels == c].mean(0) for c in range(CLASSES)])
    scatter = centred.T @ centred  # (N - 1) S
    shrunk = (scatter + np.trace(scatter) / (len(x) - 1) * np.eye(DIM)) / DIM

    class Shrunk:
        def fit(self, _):
            self.covariance_ = shrunk
            return self

    prior = np.full(CLASSES, 1 / CLASSES)
    lda = LinearDiscriminantAnalysis('lsqr', covariance_estimator=Shrunk(), priors=prior)
    lda.fit(x.numpy(), labels.numpy())
    weight, bias = gaussian_classifier(x, labels, CLASSES)
    np.testing.assert_allclose(weight, lda.coef_, rtol=1e-8)
    np.testing.assert_allclose(bias, lda.intercept_, rtol=1e-8)


def test_gda_adds_to_the_zero_shot_logits_of_unit_embeddings(data):
    x, labels, texts = data
    head, zero_shot = build('GDAHead', alpha=0.5), build('ZeroShotHead')
    fit(head, x, labels, texts)
    zero_shot.take_text_means(texts)
    x64 = torch.tensor(unit(x.double().numpy()))
    weight, bias = gaussian_classifier(x64, labels, CLASSES)
    expected = zero_shot((7 * x,)) + 0.5 * (x64 @ weight.T + bias).float()
    torch.testing.assert_close(head((7 * x,)), expected)


@pytest.mark.parametrize('times', [1, 3])
def test_gda_of_one_image_a_class_is_zero_shot(times, data):
    """Also repeated, where the mean of equal numbers may be another number."""
    x, _, texts = data
    head, zero_shot = build('GDAHead'), build('ZeroShotHead')
    labels = torch.arange(CLASSES)
    zero_shot.take_text_means(texts)
    fit(head, x[:3].repeat(times, 1), labels.repeat(times), texts)
    torch.testing.assert_close(head((x,)).softmax(1), zero_shot((x,)).softmax(1))


@pytest.mark.parametrize('classes', [2, 3])
def test_logreg_against_scikit_learn(data, classes):
    x, labels, _ = data
    x, labels = x[labels < classes], labels[labels < classes]
    head = MODELS.build(
        dict(type='LogisticRegressionHead', num_classes=classes, in_channels=DIM, C=2.0)
    )
    head.fit(x, labels)
    model = LogisticRegression(C=2.0, max_iter=1000).fit(x.double(), labels)
    query = torch.randn(5, DIM)
    probs = torch.stack([s.pred_score for s in head.predict((query,))])
    np.testing.assert_allclose(probs, model.predict_proba(query.double()), atol=1e-6)
    # At the optimum the gradient of |W|^2 / 2 + C * CE vanishes
    weight, bias = head.weight.double().requires_grad_(), head.bias.double()
    logits = x.double() @ weight.T + bias
    ce = torch.nn.functional.cross_entropy(logits, labels, reduction='sum')
    scale = 1 if classes > 2 else 2  # for two classes it penalises the difference alone
    (weight.square().sum() / 2 * scale + 2.0 * ce).backward()
    assert weight.grad.abs().max() < 1e-2


@pytest.mark.parametrize('type_', TYPES)
def test_all_that_is_fitted_is_in_the_checkpoint(data, type_):
    head, other = build(type_), build(type_)
    fit(head, *data)
    other.load_state_dict(head.state_dict())
    assert torch.equal(other((data[0],)), head((data[0],)))
    assert not any(p.requires_grad for p in head.parameters())


@pytest.mark.parametrize('type_', TYPES)
def test_use_before_fitting(data, type_):
    with refused('heads.not_set_up'):
        build(type_)((data[0],))


@pytest.mark.parametrize('type_', TYPES)
def test_checkpoint_of_another_shape(data, type_):
    state = build(type_).state_dict()
    other = MODELS.build(dict(type=type_, num_classes=5, in_channels=DIM))
    with refused('heads.other_shape'):
        other.load_state_dict(state)


@pytest.mark.parametrize('type_', ['GDAHead', 'LogisticRegressionHead'])
def test_class_without_images(data, type_):
    x, labels, _ = data
    with refused('heads.class_without_images'):
        build(type_).fit(x[labels != 1], labels[labels != 1])


def test_tip_adapter_takes_a_class_without_images(data):
    x, labels, texts = data
    head = build('TipAdapterHead')
    fit(head, x[labels != 1], labels[labels != 1], texts)
    assert head((x,)).isfinite().all()


@pytest.mark.parametrize(
    ('type_', 'kwargs', 'code'),
    [
        ('CLIPASelfHead', dict(ratio=1.5), 'config.out_of_range'),
        ('CapSAdapterHead', dict(delta=1.5), 'config.out_of_range'),
        ('ClassMeanRegHead', dict(alpha=-1), 'config.out_of_range'),
        ('ClassMeanRegHead', dict(alpha=float('nan')), 'config.out_of_range'),
        ('ClassMeanRegHead', dict(reduction='sum'), 'config.unknown_value'),
        ('ClassMeanRegHead', dict(fc_init='zeros'), 'config.unknown_value'),
        ('CoCoOpHead', dict(class_specific=True), 'config.unknown_value'),
        ('CoOpHead', dict(length=0), 'config.out_of_range'),
        ('ImageTextHead', dict(prompts='describe'), 'config.unknown_value'),
        ('ImageTextHead', dict(prompts=[]), 'config.unknown_value'),
        ('LogisticRegressionHead', dict(C=0), 'config.out_of_range'),
        ('MeanStartHead', dict(images='mean'), 'config.unknown_value'),
        ('MeanStartHead', dict(texts='class_names'), 'config.unknown_value'),
        ('MeanStartHead', dict(texts=['names']), 'config.unknown_value'),
        ('NoLAHead', dict(confident=0), 'config.out_of_range'),
        ('PerceptionCLIPHead', dict(attributes=[['', ', outdoors'], []]), 'config.unknown_value'),
        ('WiSEFTHead', dict(mix=1.5), 'config.out_of_range'),
        ('ZeroShotHead', dict(texts='names'), 'config.unknown_value'),
    ],
)
def test_settings_that_no_run_could_use(type_, kwargs, code):
    with refused(code):
        build(type_, **kwargs)


@pytest.mark.parametrize(
    'method',
    ['zero_shot_descriptions', 'clap', 'classify_by_description', 'clip_a_self', 'perception_clip'],
)
def test_shuffled_texts_are_those_of_the_next_class(method, config_of, train):
    options = {'model.head.ratio': 0.0} if method == 'clip_a_self' else {}
    own, shuffled = (
        train(config_of(method, **{'default_hooks.class_means.shuffled': value, **options}))
        for value in (False, True)
    )
    expected = own.model.head.text_weights.roll(-1, 0)
    torch.testing.assert_close(shuffled.model.head.text_weights, expected)


def test_shuffled_texts_are_samples_of_the_class_before_theirs(config_of, train):
    own, shuffled = (
        train(config_of('cross_modal', **{'default_hooks.class_means.shuffled': value})).model.head
        for value in (False, True)
    )
    (texts, labels), (same, others) = own.samples, shuffled.samples
    order, other_order = labels.argsort(), ((others + 1) % 3).argsort()
    torch.testing.assert_close(texts[order], same[other_order])
