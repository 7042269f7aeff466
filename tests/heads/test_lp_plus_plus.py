"""LP++ against autograd and torch's SGD."""

import pytest
import torch
from mmpretrain.registry import MODELS
from refused import refused
from torch.nn.functional import cross_entropy, normalize

from mmpretrain_lmmreg.heads.lp_plus_plus import fit_lp_plus_plus, step_sizes


@pytest.fixture
def data():
    """Unit embeddings, labels and unit texts in float64."""
    torch.manual_seed(0)
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 0, 2])
    x = torch.randn(8, 5).double() + 2 * torch.eye(3, 5)[labels]
    return normalize(x, dim=1), labels, normalize(torch.randn(3, 5).double(), dim=1)


def test_start_and_steps_come_from_the_data(data):
    x, labels, texts = data
    weight, bias, alpha = fit_lp_plus_plus(x, labels, texts, 0)
    torch.testing.assert_close(weight[1], x[1] + x[4])
    expected = 250 * sum((x[labels == c] @ texts[c]).mean() for c in range(3)) / 3
    torch.testing.assert_close(alpha, expected.repeat(3))
    assert not bias.any()
    of_weights, of_alpha = step_sizes(x, texts)
    assert of_weights == pytest.approx(32 / torch.linalg.eigvalsh(x.T @ x).max().item())
    assert of_alpha == pytest.approx(8 / (4 * (x @ texts.T).square().sum(0).max().item()))


def test_steps_are_those_of_sgd_with_momentum(data):
    x, labels, texts = data
    start = fit_lp_plus_plus(x, labels, texts, 0)
    weight, bias, alpha = (tensor.clone().requires_grad_() for tensor in start)
    rates = step_sizes(x, texts)
    sgd = torch.optim.SGD([weight, bias], rates[0], momentum=0.9)
    losses = []
    for step in range(1, 26):
        loss = cross_entropy(x @ weight.T + bias + alpha * (x @ texts.T), labels)
        losses.append(loss.item())
        alpha.grad = None
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        if step % 10 == 0:
            alpha.data -= rates[1] * alpha.grad
    for found, expected in zip(
        fit_lp_plus_plus(x, labels, texts, 25), (weight, bias, alpha), strict=True
    ):
        torch.testing.assert_close(found, expected.detach())
    assert losses[-1] < losses[0]


def test_head_adds_both_parts(data):
    x, labels, texts = data
    head = MODELS.build(dict(type='LPPlusPlusHead', num_classes=3, in_channels=5, steps=12))
    with refused('heads.not_set_up'):
        head((x.float(),))
    head.take_text_means(3 * texts)
    head.fit(7 * x, labels)
    weight, bias, alpha = fit_lp_plus_plus(x, labels, texts, 12)
    expected = x @ weight.T + bias + alpha * (x @ texts.T)
    torch.testing.assert_close(head((2 * x.float(),)), expected.float(), rtol=1e-4, atol=1e-4)
    with refused('heads.class_without_images'):
        head.fit(x[labels != 1], labels[labels != 1])
