"""Which descriptions of training images a picture's embedding lies closest to."""

import torch.nn.functional as F
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from torch import Tensor

from ..clip.text_tower import TextTower
from ..errors import InputError
from ..text.class_sentences import collect_descriptions
from ..text.embedding import embed
from .classifier import Classifier


class Explainer:
    """The embedded descriptions of a classifier's training images.

    The config's training list and descriptions must be at hand, and the weights of its text
    tower; embeddings come from the cache that training filled.

    Raises:
        InputError: one of them is not.
    """

    def __init__(self, classifier: Classifier) -> None:
        cfg, model = classifier.cfg, classifier.model
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            dataset = DATASETS.build(cfg.train_dataloader.dataset)
        self.texts, counts = collect_descriptions(dataset, model.head.num_classes)
        if not self.texts:
            raise InputError('--explain: no training image of this config has a description')
        self.classes = [
            [classifier.classes[label] for label, counter in enumerate(counts) if index in counter]
            for index in range(len(self.texts))
        ]
        hook = (cfg.get('default_hooks') or {}).get('class_means') or {}
        source = hook if hook.get('model_name') else cfg.model.backbone
        context = hook.get('text_context')
        tower = TextTower(source['model_name'], source.get('pretrained'), text_context=context)
        embeddings = embed(self.texts, tower)
        if embeddings.shape[1] != model.head.in_channels:
            raise InputError(
                f'--explain: the text tower of {source["model_name"]} gives '
                f'D={embeddings.shape[1]}, the image embeddings have D={model.head.in_channels}'
            )
        if getattr(model.head, 'normalize', False):
            embeddings = F.normalize(embeddings, dim=1)
        self.centre = embeddings.mean(dim=0)
        self.embeddings = F.normalize(embeddings - self.centre, dim=1)

    def closest(self, embedding: Tensor, count: int) -> list[dict]:
        """The ``count`` texts of largest cosine to an embedding (D,), and their classes.

        Seen from the mean of all texts: what is common to them all tells nothing of a picture.
        """
        similarities = self.embeddings @ F.normalize(embedding - self.centre, dim=0)
        best = similarities.topk(min(count, len(self.texts)))
        return [
            dict(text=self.texts[index], classes=self.classes[index], similarity=value)
            for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]
