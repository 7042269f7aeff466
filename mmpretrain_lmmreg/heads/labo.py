"""LaBo: a bottleneck of concepts between image and class, and which sentences make good ones."""

import re
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..errors import require_range
from ..text.class_means import means_by_label
from ..text.embedding import embed_lists
from .inputs import HeadInputs
from .learned_text import LearnedTextHead, sentences_of


@MODELS.register_module()
class LaBoHead(LearnedTextHead):
    """Logits s * x E' softmax(W)' of K concepts E, chosen from sentences; the association W trains.

    Yang, Panagopoulou, Zhou, Jin, Callison-Burch and Yatskar, "Language in a Bottle: Language
    Model Guided Concept Bottlenecks for Interpretable Image Classification", CVPR 2023: some 500
    phrases of GPT-3 a class, of which :func:`select_concepts` takes ``concepts_per_class``; W
    starts as 1 between a class and its own concepts, else 0; embeddings are not normalised.

    Args:
        sentences: A JSON file {class: [sentence, ...]}; by default the descriptions of the
            training images. Class names are cut out.
        concepts_per_class: K / N_c; 50 in the paper. Fewer where there are not as many.
        discriminability: Weight of a concept's :func:`discriminability`.
        coverage: Weight of the coverage of all candidates of a class. Both defaults are the
            authors' for UCF-101 (1e7 for 50,500 candidates, which is some 200 for each).
        **kwargs: See :class:`LearnedTextHead`.

    Raises:
        InputError: what :func:`sentences_of` raises; a class without training images.
    """

    described = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        sentences: str | None = None,
        concepts_per_class: int = 50,
        discriminability: float = 200.0,
        coverage: float = 10.0,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        require_range('concepts_per_class', concepts_per_class, 1)
        require_range('discriminability', discriminability, 0)
        require_range('coverage', coverage, 0)
        self.sentences, self.concepts_per_class = sentences, concepts_per_class
        self.discriminability, self.coverage = discriminability, coverage
        row = torch.ones(1, concepts_per_class)
        self.association = nn.Parameter(torch.block_diag(*[row] * num_classes))
        # of each class in turn, and zeros where it has no more
        self.register_buffer('concepts', torch.zeros(self.association.shape[1], in_channels))

    def take_texts(self, inputs: HeadInputs) -> None:
        """Choose the concepts; those of a resumed run are in its checkpoint."""
        if inputs.trained:
            return
        classes = inputs.classes
        candidates = candidate_concepts(sentences_of(inputs, self.sentences), classes)
        embeddings = embed_lists(candidates, inputs.text_tower)
        x, labels = (t.cpu() for t in inputs.image_embeddings)
        class_images = means_by_label(x, labels, self.num_classes)
        kept = self.concepts.unflatten(0, (self.num_classes, -1)).zero_()
        similarity = torch.cat(embeddings) @ class_images.T
        scores = (self.discriminability * discriminability(similarity)).split(
            [len(each) for each in embeddings]
        )
        for c, each in enumerate(embeddings):
            chosen = select_concepts(scores[c], each, self.concepts_per_class, self.coverage)
            kept[c, : len(chosen)] = each[chosen].to(kept)
            first = ' | '.join(candidates[c][i] for i in chosen[:3])
            print_log(f'{classes[c]}: {len(chosen)} concepts of {len(each)}: {first}', 'current')

    def class_weights(self) -> Tensor:
        """softmax(W) E, (N_c, D)."""
        missing = ~self.concepts.any(1)
        return self.association.masked_fill(missing, -torch.inf).softmax(1) @ self.concepts

    def logits(self, x: Tensor, weights: Tensor) -> Tensor:
        """Logits (B, N_c) of embeddings (B, D) as they are, and class embeddings (N_c, D)."""
        return self.logit_scale * x @ weights.T


def candidate_concepts(
    sentences: Sequence[Sequence[str]], classes: Sequence[str]
) -> list[list[str]]:
    """Cut all class names out of each class's sentences; a text twice counts for its first class.

    Names are found as words, whatever their case; what is left of a mere name is dropped.
    """
    names = sorted(set(classes), key=len, reverse=True)
    pattern = re.compile(rf'(?<!\w)(?:{"|".join(map(re.escape, names))})(?!\w)', re.IGNORECASE)
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
