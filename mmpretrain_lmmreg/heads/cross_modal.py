"""A linear probe that trains on texts as on images."""

from collections import Counter

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from ..text.embedding import embed_together
from .base import generator_of_step, not_set_up
from .inputs import HeadInputs
from .zero_shot import ZeroShotHead


@MODELS.register_module()
class CrossModalHead(ZeroShotHead):
    """Logits s * w_c x of unit x, from as many texts as images at each step; w starts at the texts.

    Lin, Yu, Kuang, Pathak and Ramanan, "Multimodality Helps Unimodality: Cross-Modal Few-Shot
    Learning with Multimodal Models", CVPR 2023: each text is a further training sample of its
    class. No bias. Where the backbone trains, too, it learns from the images alone, as texts are
    embedded once. The texts of a step are drawn anew, in the authors' code in rounds.

    Args:
        **kwargs: See :class:`ZeroShotHead`; ``texts='descriptions'`` trains on the descriptions
            of the training images, each as often as it occurs.

    Raises:
        InputError: training without the hook.
    """

    def __init__(self, num_classes: int, in_channels: int, **kwargs) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.fc = nn.Linear(in_channels, num_classes, bias=False)
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))
        self.samples: tuple[Tensor, Tensor] | None = None  # not in the checkpoint

    def set_up(self, inputs: HeadInputs) -> None:
        """Start from the texts, unless resumed, and keep them as samples."""
        super().set_up(inputs)
        texts, counts = self.texts_of(inputs)
        self.take_samples(embed_together(texts, inputs.text_tower), counts)

    def take_samples(self, embeddings: Tensor, counts: list[Counter]) -> None:
        """Train on these embeddings (S, D), so many times in each class."""
        pairs = [(row, c) for c, counter in enumerate(counts) for row in counter.elements()]
        rows, labels = torch.tensor(pairs).T
        unit = F.normalize(embeddings, dim=1)[rows]
        self.samples = unit.to(self.text_weights), labels.to(self.text_weights.device)

    def take_text_means(self, means: Tensor) -> None:
        """Start from these text embeddings, (N_c, D)."""
        super().take_text_means(means)
        self.fc.weight.data.copy_(self.text_weights)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, N_c) of unit embeddings (B, D)."""
        return self.logit_scale * self.fc(x)

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample], **kwargs) -> dict:
        """Cross entropy over the images and as many texts; see mmpretrain's ``ClsHead.loss``."""
        if self.samples is None:
            raise not_set_up(self)
        texts, labels = self.samples
        x = self.pre_logits(feats)
        drawn = torch.randint(
            len(texts), (len(x),), generator=generator_of_step(int(self.steps))
        ).to(x.device)
        self.steps += 1
        scores = self((torch.cat([x, texts[drawn].to(x)]),))
        text_samples = [DataSample().set_gt_label(labels[drawn])]
        if 'gt_score' in data_samples[0]:  # images are mixed
            one_hot = F.one_hot(labels[drawn], self.num_classes).float()
            text_samples = [DataSample().set_gt_score(row) for row in one_hot]
        return self._get_loss(scores, [*data_samples, *text_samples], **kwargs)
