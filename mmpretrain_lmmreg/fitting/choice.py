"""What to take, judged by calibrated scores of held-out images.

The choice is a weighted geometric mean of probabilities: of each family of candidates the best one,
with weights >= 0 that are fitted to the held-out images and shrunk to equal ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..deploy.temperature import fit_temperature
from .candidates import Candidate

SHRINKAGE = 30.0  # see weigh; chosen by dev/regrets.py
LEAST = 0.01  # weight of a member


@dataclass(frozen=True)
class Judged:
    """A candidate's held-out scores, calibrated.

    Args:
        candidate: What was trained on the folds.
        accuracy: Share of held-out images that are classified rightly.
        error: Standard error of the accuracy.
        log_likelihood: Mean log-probability of the right class.
        temperature: Divides the scores before they become probabilities.
        log_probabilities: Of the n scored images, (n, N_c).
        seconds: That cross-validation took.
    """

    candidate: Candidate
    accuracy: float
    error: float
    log_likelihood: float
    temperature: float
    log_probabilities: Tensor
    seconds: float = 0.0


def judge(candidate: Candidate, scores: Tensor, labels: Tensor, seconds: float = 0.0) -> Judged:
    """Calibrate held-out scores (n, N_c) of images with labels (n,) by one temperature."""
    temperature = fit_temperature(scores, labels)
    logs = (scores.double() / temperature).log_softmax(1)
    right = (logs.argmax(1) == labels).double().mean().item()
    error = (right * (1 - right) / len(labels)) ** 0.5
    likelihood = log_likelihoods(logs, labels).mean().item()
    return Judged(candidate, right, error, likelihood, temperature, logs, seconds)


def log_likelihoods(log_probabilities: Tensor, labels: Tensor) -> Tensor:
    """Log-probability of each image's own class, (n,)."""
    return log_probabilities.gather(1, labels[:, None])[:, 0]


def rank(judged: Sequence[Judged]) -> list[Judged]:
    """Best first: by mean calibrated log-likelihood; of equals the simpler one first."""
    return sorted(judged, key=lambda j: (-round(j.log_likelihood, 9), j.candidate.simple))


def weigh(
    judged: Sequence[Judged], labels: Tensor, shrinkage: float = SHRINKAGE
) -> list[tuple[Judged, float]]:
    """Members of the average and their weights, the best candidate first.

    Minimised is the mean cross entropy of the weighted sum of calibrated log-probabilities, plus
    shrinkage / n^2 * K * the squared distance of the K weights from 1 / K.

    Args:
        judged: Candidates.
        labels: Of the n scored images, (n,).
        shrinkage: How strongly weights are held to equal ones.
    """
    from scipy.optimize import minimize

    families: dict[int, Judged] = {}
    for each in rank(judged):
        families.setdefault(each.candidate.simple, each)
    best = list(families.values())
    logs, count = torch.stack([each.log_probabilities for each in best]), len(best)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        w = torch.tensor(weights, requires_grad=True)
        far = count * (w - 1 / count).square().sum()
        value = F.cross_entropy(torch.einsum('k,knc->nc', w, logs), labels)
        value = value + shrinkage / len(labels) ** 2 * far
        (gradient,) = torch.autograd.grad(value, w)
        return value.item(), gradient.numpy()

    start = np.full(count, 1 / count)
    found = minimize(loss, start, jac=True, method='L-BFGS-B', bounds=[(0, None)] * count).x
    pairs = [(each, float(w)) for each, w in zip(best, found, strict=True)]
    members = [(each, w) for each, w in pairs if w > LEAST * found.sum()]
    return members if len(members) > 1 else [(best[0], 1.0)]


def contradicted(judged: Judged, labels: Tensor, most: int = 24) -> list[tuple[int, int, float]]:
    """Scored images whose label the held-out prediction contradicts, the surest first.

    Returns:
        Row among the scored images, predicted class and its probability.
    """
    best = judged.log_probabilities.exp().max(1)
    wrong = (best.indices != labels).nonzero()[:, 0]
    order = wrong[best.values[wrong].argsort(descending=True)][:most]
    return [(int(i), int(best.indices[i]), best.values[i].item()) for i in order]
