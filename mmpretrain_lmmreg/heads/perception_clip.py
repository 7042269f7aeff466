"""Zero-shot classification that first infers what else an image shows."""

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor

from ..errors import InputError
from ..text.embedding import embed_lists
from ..text.prompts import class_prompts
from .inputs import HeadInputs
from .zero_shot import ZeroShotHead


@MODELS.register_module()
class PerceptionCLIPHead(ZeroShotHead):
    """log of the sum over contexts z of p(z | x) p(class | x, z), see :func:`log_probabilities`.

    An, Zhu, Panaitescu-Liess, Mummadi and Huang, "PerceptionCLIP: Visual Classification by
    Inferring and Conditioning on Contexts", ICLR 2024, in two steps. A context is one value of each
    attribute; a text is the first template, its full stop moved behind the values.
    ``context_weights`` (N_c, Z, D), unit vectors, are a buffer.

    Args:
        attributes: For each attribute its values, such as ``['', ', in dim light']``; '' says
            nothing. The authors choose them for each data set, with an LLM's help.
        class_free: Infer the context from the template with ``object_name`` for a class, instead
            of from the sum over all classes.
        object_name: Stands for any class.
        temperature: Divides the scores from which contexts are inferred; 1 is the default of
            the authors' program; their runs on ImageNet set 3.
        **kwargs: See :class:`ZeroShotHead`; ``texts`` must stay.

    Raises:
        InputError: attributes without values.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        attributes: Sequence[Sequence[str]],
        class_free: bool = False,
        object_name: str = 'object',
        temperature: float = 1.0,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        if not attributes or not all(attributes):
            raise InputError(
                'attributes must be a list of lists of values, none of them empty',
                code='config.unknown_value',
            )
        self.contexts = [''.join(values) for values in product(*attributes)]
        self.class_free, self.object_name = class_free, object_name
        self.temperature = temperature
        rows = num_classes + class_free  # the last is any class's
        self.register_buffer('context_weights', torch.zeros(rows, len(self.contexts), in_channels))

    def set_up(self, inputs: HeadInputs) -> None:
        """Embed each class in each context."""
        if inputs.trained:
            return
        template, *_ = self.templates or inputs.templates
        stem = template.rstrip('.')
        templates = [f'{stem}{context}.' for context in self.contexts]
        names = [*inputs.shifted(inputs.classes), *[self.object_name][: int(self.class_free)]]
        self.take_texts(
            torch.stack(embed_lists(class_prompts(names, templates), inputs.text_tower))
        )

    def take_texts(self, embeddings: Tensor) -> None:
        """Classify by these text embeddings, (N_c, Z, D), with ``class_free`` one more row."""
        self.context_weights.copy_(F.normalize(embeddings, dim=2))
        self.take_text_means(self.context_weights[: self.num_classes].mean(1))

    def logits(self, x: Tensor) -> Tensor:
        """Log probabilities (B, N_c) of unit embeddings (B, D)."""
        scores = self.logit_scale * torch.einsum('bd,czd->bcz', x, self.context_weights)
        classes, any_class = scores.split([self.num_classes, int(self.class_free)], dim=1)
        scaled = (any_class if self.class_free else classes) / self.temperature
        return log_probabilities(classes, scaled.logsumexp(1))


def log_probabilities(scores: Tensor, context_scores: Tensor) -> Tensor:
    """log of the sum over z of p(z) p(c | z), (B, N_c).

    Args:
        scores: Of classes in contexts, (B, N_c, Z); p(c | z) is their softmax over the classes.
        context_scores: (B, Z); p(z) is their softmax.
    """
    joint = scores.log_softmax(1) + context_scores.log_softmax(1)[:, None]
    return joint.logsumexp(2)
