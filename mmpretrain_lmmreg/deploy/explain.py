"""Which descriptions a picture's embedding lies closest to, or was classified by."""

from collections import Counter

import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from torch import Tensor

from ..datasets.names import check_same_classes
from ..errors import InputError
from ..heads.classify_by_description import ClassifyByDescriptionHead, descriptors_in
from ..text.class_sentences import collect_descriptions
from ..text.embedding import embed
from .classifier import Classifier, text_tower


class Explainer:
    """The embedded descriptions of a classifier's training images, or its own descriptors.

    The config's training list and descriptions (or file of descriptors) must be at hand, and the
    weights of its text tower; embeddings come from the cache that training filled.

    Raises:
        InputError: one of them is not.
    """

    def __init__(self, classifier: Classifier) -> None:
        cfg, model = classifier.cfg, classifier.model
        self.texts, counts = _texts_of(classifier)
        if not self.texts:
            raise InputError(
                '--explain: no training image of this config has a description; describe some with '
                'mmpretrain-lmmreg describe CONFIG',
                code='deploy.nothing_to_explain',
            )
        self.decide = isinstance(model.head, ClassifyByDescriptionHead)
        self.shares = torch.zeros(len(counts), len(self.texts))
        for row, counter in zip(self.shares, counts, strict=True):
            for index, count in counter.items():
                row[index] = count / sum(counter.values())
        self.classes = [
            [classifier.classes[label] for label, counter in enumerate(counts) if index in counter]
            for index in range(len(self.texts))
        ]
        embeddings = embed(self.texts, text_tower(cfg))
        if embeddings.shape[1] != model.backbone.embed_dim:
            raise InputError(
                '--explain: the text tower gives '
                f'D={embeddings.shape[1]}, the images have D={model.backbone.embed_dim}',
                code='deploy.nothing_to_explain',
            )
        if getattr(model.head, 'normalize', False):
            embeddings = F.normalize(embeddings, dim=1)
        self.centre = 0 * embeddings[0] if self.decide else embeddings.mean(dim=0)
        self.embeddings = F.normalize(embeddings - self.centre, dim=1)

    def closest(self, embedding: Tensor, count: int) -> list[dict]:
        """The ``count`` texts of largest cosine to an embedding (D,), and their classes.

        Seen from the mean of all texts: what is common to them all tells nothing of a picture.
        Of a classifier by descriptors these are the likeliest class's, and the cosines are plain.
        """
        similarities = self.embeddings @ F.normalize(embedding - self.centre, dim=0)
        rows = torch.arange(len(self.texts))
        if self.decide:
            rows = self.shares[(self.shares @ similarities).argmax()].nonzero().flatten()
        best = similarities[rows].topk(min(count, len(rows)))
        return [
            dict(text=self.texts[index], classes=self.classes[index], similarity=value)
            for value, index in zip(best.values.tolist(), rows[best.indices].tolist(), strict=True)
        ]


def _texts_of(classifier: Classifier) -> tuple[list[str], list[Counter]]:
    """Unique texts, and how often each is one of each class."""
    cfg, head = classifier.cfg, classifier.model.head
    if isinstance(head, ClassifyByDescriptionHead) and head.sentences:
        return descriptors_in(head.sentences, classifier.classes)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    names = dataset.metainfo.get('classes') or ()
    check_same_classes(classifier.classes, names, '--explain')
    return collect_descriptions(dataset, head.num_classes)
