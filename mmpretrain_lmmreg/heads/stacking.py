"""How much texts and images of a class are each worth, judged on images that were left out."""

from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError

SMOOTHING = 0.1  # of the labels, which keeps weights finite where every image is classified rightly
Classifier = tuple[Tensor, Tensor]  # weight (N_c, D) and bias (N_c,)


def text_classifier(x: Tensor, text_means: Tensor) -> Classifier:
    """Scores t_c (x - m): t the centred unit directions of the class's texts, m the mean of x.

    Args:
        x: Embeddings of training images, (N, D), unit vectors.
        text_means: (N_c, D), of any length.
    """
    directions = F.normalize(text_means, dim=1)
    directions = F.normalize(directions - directions.mean(0), dim=1)
    return directions, -directions @ x.mean(0)


def mean_classifier(x: Tensor, labels: Tensor, num_classes: int) -> Classifier:
    """Scores v_c (x - m): v the mean of a class's images less the mean m of all, 0 without any."""
    one_hot = F.one_hot(labels, num_classes).to(x)
    counts = one_hot.sum(0)[:, None]
    centre = x.mean(0)
    means = torch.where(counts > 0, one_hot.T @ x / counts.clamp_min(1) - centre, 0)
    return means, -means @ centre


def left_out_scores(
    fit: Callable[[Tensor, Tensor], Classifier],
    x: Tensor,
    labels: Tensor,
    groups: Tensor,
    folds: int,
) -> Tensor:
    """Scores (N, N_c) of each image by a classifier that was fitted without its fold.

    Args:
        fit: Embeddings and labels -> classifier.
        x, labels: Of the training images, (N, D) and (N,).
        groups: Number of each image's source, (N,); a group is never divided.
        folds: At most so many; fewer where there are fewer groups. Of one group all scores are 0.
    """
    fold = fold_numbers(labels, groups, folds)
    numbers = fold.unique()
    if len(numbers) < 2:
        return torch.zeros_like(F.linear(x, *fit(x, labels)))
    parts: list[tuple[Tensor, Tensor]] = []
    for number in numbers:
        out = fold == number
        weight, bias = fit(x[~out], labels[~out])
        parts.append((out.nonzero()[:, 0], F.linear(x[out], weight, bias)))
    rows, scores = (torch.cat(each) for each in zip(*parts, strict=True))
    return scores[rows.argsort()]


def fold_numbers(labels: Tensor, groups: Tensor, folds: int) -> Tensor:
    """Fold of each image, (N,): a class's groups are dealt out in turn, from its own fold on."""
    fold_of: dict[int, int] = {}
    dealt: dict[int, int] = {}
    for label, group in zip(labels.tolist(), groups.tolist(), strict=True):
        if group not in fold_of:
            fold_of[group] = dealt.get(label, label) % folds
            dealt[label] = dealt.get(label, label) + 1
    return torch.tensor([fold_of[group] for group in groups.tolist()], device=labels.device)


def logistic_regression(x: Tensor, labels: Tensor, C: float, max_iter: int = 2000) -> Classifier:
    """scikit-learn's, one row for each of the classes that occur, in float64.

    Args:
        x: (N, D).
        labels: (N,), of two classes at least.
        C: Inverse strength of the regulariser.
        max_iter: Of L-BFGS.
    """
    kind = imported('sklearn.linear_model').LogisticRegression
    model = kind(C=C, max_iter=max_iter).fit(x.double().cpu().numpy(), labels.cpu().numpy())
    weight, bias = torch.tensor(model.coef_), torch.tensor(model.intercept_)
    if len(weight) == 1:  # of two classes, the second one's log odds
        return torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    return weight, bias


def imported(module: str) -> ModuleType:
    """A module that few methods need; InputError says what to install."""
    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f'this method needs {module.split(".")[0]}: pip install mmpretrain_lmmreg[evidence]',
            code='heads.package_missing',
        ) from None


def stacking_weights(scores: Sequence[Tensor], labels: Tensor) -> list[float]:
    """Weights >= 0 that minimise the cross entropy of the weighted sum of scores.

    The labels are smoothed by :data:`SMOOTHING`; the problem is convex. Scores that are all the
    same have weight 0.

    Args:
        scores: K tensors (N, N_c).
        labels: (N,).
    """
    minimize = imported('scipy.optimize').minimize
    stacked = torch.stack(list(scores)).double().cpu()
    spread = stacked.std(dim=(1, 2))
    scale = spread.clamp_min(1e-12)
    stacked, labels = stacked / scale[:, None, None], labels.cpu()

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        with torch.enable_grad():
            w = torch.tensor(weights, requires_grad=True)
            total = torch.einsum('k,knc->nc', w, stacked)
            value = F.cross_entropy(total, labels, label_smoothing=SMOOTHING)
            (gradient,) = torch.autograd.grad(value, w)
        return value.item(), gradient.numpy()

    start = np.ones(len(stacked))
    found = minimize(loss, start, jac=True, method='L-BFGS-B', bounds=[(0, None)] * len(start))
    return (torch.from_numpy(found.x) / scale).where(spread > 0, 0).tolist()
