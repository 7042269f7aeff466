"""Which sentences make good concepts: LaBo's arithmetic."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor


def candidate_concepts(
    sentences: Sequence[Sequence[str]], classes: Sequence[str]
) -> list[list[str]]:
    """Cut all class names out of each class's sentences; a text twice counts for its first class.

    Names are found as words, whatever their case; what is left of a mere name is dropped.
    """
    names = sorted(set(classes), key=len, reverse=True)
    pattern = re.compile(rf'\b(?:{"|".join(map(re.escape, names))})\b', re.IGNORECASE)
    seen: set[str] = set()
    candidates = []
    for texts in sentences:
        cut = dict.fromkeys(' '.join(pattern.sub('', text).split()) for text in texts)
        candidates.append([text for text in cut if re.search(r'\w', text) and text not in seen])
        seen.update(candidates[-1])
    return candidates


def discriminability(similarity: Tensor) -> Tensor:
    """K times each concept's part of the mutual information of concepts and classes, (K,).

    As in the authors' code, similarities are first divided by their sum over all concepts, class
    by class: p(c, y) = s(c, y) / (N_c * sum over c of s(c, y)). A concept's part is the sum over
    y of p(c, y) * log(N_c * p(c, y) / p(c)), at least 0; K makes it independent of their number.

    Args:
        similarity: Of all K concepts to the images of each class, on average, (K, N_c). CLIP's
            are positive; others count as nearly 0.
    """
    concepts, classes = similarity.shape
    joint = similarity.clamp_min(1e-6)
    joint = joint / (classes * joint.sum(0))
    share = joint / joint.sum(1, keepdim=True)
    return concepts * (joint * (classes * share).log()).sum(1)


def select_concepts(scores: Tensor, embeddings: Tensor, count: int, coverage: float) -> list[int]:
    """Greedily maximise F(C) = sum of scores over C + coverage * sum over columns of max over C.

    The columns are the scores and the D numbers of an embedding, each at least 0. So does the
    authors' program, whose library takes these as if they were similarities to all candidates; the
    paper says cosines to the candidates. F is submodular and monotone, so that the choice is worth
    at least 1 - 1/e of the best one.

    Args:
        scores: Of each candidate, (S,), not negative.
        embeddings: Of the candidates, (S, D), as they are.
        count: |C|; all candidates, in their order, where there are no more.
        coverage: Weight of the second term.

    Returns:
        Numbers of the chosen, the first chosen first.
    """
    if len(scores) <= count:
        return list(range(len(scores)))
    columns = torch.cat([scores[:, None], embeddings], dim=1).double()
    covered = torch.zeros_like(columns[0])
    chosen: list[int] = []
    for _ in range(count):
        gains = columns[:, 0] + coverage * (columns - covered).clamp_min(0).sum(1)
        gains[chosen] = -torch.inf
        chosen.append(int(gains.argmax()))
        covered = covered.maximum(columns[chosen[-1]])
    return chosen
