"""Which candidate to take, judged by its calibrated held-out scores."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .candidates import Candidate
from .folds import calibrate_scores, log_likelihoods


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
    """Calibrate held-out scores (n, N_c) of images with labels (n,)."""
    logs, temperature = calibrate_scores(scores, labels)
    right = (logs.argmax(1) == labels).double().mean().item()
    error = (right * (1 - right) / len(labels)) ** 0.5
    likelihood = log_likelihoods(logs, labels).mean().item()
    return Judged(candidate, right, error, likelihood, temperature, logs, seconds)


def rank(judged: list[Judged]) -> list[Judged]:
    """Best first: by mean calibrated log-likelihood; of equals the simpler one first."""
    return sorted(judged, key=lambda j: (-round(j.log_likelihood, 9), j.candidate.simple))


def own_probabilities(judged: Judged, labels: Tensor) -> list[float]:
    """Calibrated held-out probability of each scored image's own class, in increasing order."""
    own = log_likelihoods(judged.log_probabilities, labels).exp().clamp(0, 1)
    return [round(p, 6) for p in own.sort().values.tolist()]


def contradicted(judged: Judged, labels: Tensor, most: int = 24) -> list[tuple[int, int, float]]:
    """Scored images whose label the held-out prediction contradicts, the surest first.

    Returns:
        Row among the scored images, predicted class and its probability.
    """
    best = judged.log_probabilities.exp().max(1)
    wrong = (best.indices != labels).nonzero()[:, 0]
    order = wrong[best.values[wrong].argsort(descending=True)][:most]
    return [(int(i), int(best.indices[i]), best.values[i].item()) for i in order]


def confusions(predicted: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Number of images by label and predicted class, (N_c, N_c)."""
    pairs = torch.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)
