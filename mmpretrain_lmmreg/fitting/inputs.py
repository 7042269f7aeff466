"""What heads ask for before training, of a subset of the images."""

from collections import Counter
from functools import cached_property

import torch
from torch import Tensor

from ..heads.inputs import HeadInputs, Samples
from ..text.class_means import class_means, sums_by_class
from ..text.embedding import embed

# what is made anew for each head and each subset
OF_THE_HEAD = ('image_embeddings', 'embeddings', 'groups', 'descriptions', 'class_means')


class WholeInputs(HeadInputs):
    """:class:`HeadInputs` of all images, of which subsets take their share."""

    @classmethod
    def of(cls, inputs: HeadInputs) -> 'WholeInputs':
        """The same inputs, of which subsets can be taken."""
        whole = cls.__new__(cls)
        vars(whole).update({k: v for k, v in vars(inputs).items() if k not in OF_THE_HEAD})
        return whole

    @cached_property
    def labels(self) -> Tensor:
        """(N,), on the model's device as is :attr:`trunk`."""
        labels = [info['gt_label'] for info in self.infos]
        return torch.tensor(labels, device=next(self.model.parameters()).device)

    @cached_property
    def trunk(self) -> Tensor:
        """Trunk features, (N, D_trunk)."""
        return self.trunk_features().to(next(self.model.parameters()).device)

    @cached_property
    def text_rows(self) -> dict[str, Tensor]:
        """Embedding of each text that was asked for."""
        return {}

    def text_means(self, texts: list[str], counts: list[Counter], normalize: bool) -> Tensor:
        """Mean embedding of each class's texts, (N_c, D); each text is embedded once."""
        rows = self.text_rows
        new = [text for text in texts if text not in rows]
        if new:
            rows.update(zip(new, embed(new, self.text_tower), strict=True))
        stacked = torch.stack([rows[text] for text in texts]) if texts else torch.zeros(0, 1)
        names = self.shifted(self.dataset.metainfo.get('classes') or ())
        return class_means(*sums_by_class(stacked, counts, normalize), names)


class SubsetInputs(WholeInputs):
    """:class:`HeadInputs` of the images ``chosen`` (n,) among those of ``whole``."""

    def __init__(self, whole: WholeInputs, chosen: Tensor) -> None:
        vars(self).update({k: v for k, v in vars(whole).items() if k not in OF_THE_HEAD})
        self.whole, self.chosen = whole, chosen
        self.text_rows = whole.text_rows
        self.datasets = [Samples(whole.dataset, chosen.tolist())]

    @cached_property
    def image_embeddings(self) -> tuple[Tensor, Tensor]:
        """Embeddings (n, D) and labels (n,)."""
        model = self.model
        with torch.no_grad():
            x = model.head.pre_logits(model.extract_feat(self.whole.trunk[self.chosen]))
        return x, self.whole.labels[self.chosen]

    @cached_property
    def embeddings(self) -> Tensor:
        """(n, D)."""
        return self.image_embeddings[0]

    @cached_property
    def groups(self) -> Tensor:
        """(n,)."""
        return self.whole.groups[self.chosen]

    def trunk_features(self, tower=None) -> Tensor:
        """(n, D_trunk)."""
        return self.whole.trunk[self.chosen]
