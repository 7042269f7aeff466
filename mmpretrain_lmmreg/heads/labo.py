"""LaBo: a bottleneck of concepts between image and class."""

import torch
from mmengine.logging import print_log
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..errors import require_range
from ..text.class_means import means_by_label
from ..text.embedding import embed_lists
from .base import class_counts
from .concepts import candidate_concepts, discriminability, select_concepts
from .inputs import HeadInputs
from .learned_text import LearnedTextHead, sentences_of


@MODELS.register_module()
class LaBoHead(LearnedTextHead):
    """Logits s * x E' softmax(W)' of K concepts E, chosen from sentences; the association W trains.

    Yang, Panagopoulou, Zhou, Jin, Callison-Burch and Yatskar, "Language in a Bottle: Language
    Model Guided Concept Bottlenecks for Interpretable Image Classification", CVPR 2023: some 500
    phrases of GPT-3 a class, of which :func:`select_concepts` takes ``concepts_per_class``; W
    starts as 1 between a class and its own concepts, else 0; embeddings are not normalised. The
    authors: CLIP ViT-L/14, 1 shot to all images, all classes, the best epoch of 5,000 (Adam at
    1e-5, batches of 256 for UCF-101) by validation images.

    Args:
        num_classes: N_c.
        in_channels: D, the width of the embeddings.
        sentences: A JSON file {class: [sentence, ...]}; by default the descriptions of the
            training images (the train pipeline needs ``AttachDescriptions``). Class names are
            cut out.
        concepts_per_class: K / N_c; 50 in the paper. Fewer where there are not as many.
        discriminability: Weight of a concept's :func:`discriminability`.
        coverage: Weight of the coverage of all candidates of a class. The authors choose both
            weights on validation images; the defaults are theirs for all images of UCF-101 (1e7
            for 50,500 candidates, which is some 200 for each).
        **kwargs: See :class:`LearnedTextHead`.

    Raises:
        InputError: what :func:`sentences_of` raises; a class without training images.
    """

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

    @classmethod
    def described_splits(cls, head: dict, means: dict) -> tuple[str, ...]:
        """``train``, unless a file has the sentences."""
        return () if head.get('sentences') else ('train',)

    def take_texts(self, inputs: HeadInputs) -> None:
        """Choose the concepts; those of a resumed run are in its checkpoint."""
        if inputs.trained:
            return
        classes = inputs.classes
        candidates = candidate_concepts(sentences_of(inputs, self.sentences), classes)
        embeddings = embed_lists(candidates, inputs.text_tower)
        x, labels = (t.cpu() for t in inputs.image_embeddings)
        class_counts(labels, self.num_classes)
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
