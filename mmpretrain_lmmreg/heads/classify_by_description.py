"""Classes by the mean similarity to their descriptors."""

from collections import Counter
from collections.abc import Sequence

from mmpretrain.registry import MODELS
from torch import Tensor

from ..text.class_sentences import read_sentences
from ..text.prompts import count_texts
from .inputs import HeadInputs
from .learned_text import sentences_of
from .zero_shot import ZeroShotHead

BEGINNINGS = {
    'which is': ('a', 'used'),
    'which': ('has', 'often', 'typically', 'may', 'can'),
}


@MODELS.register_module()
class ClassifyByDescriptionHead(ZeroShotHead):
    """Logits s * mean over a class's descriptors d of cos(x, d), without training on images.

    Menon and Vondrick, "Visual Classification via Description from Large Language Models", ICLR
    2023: descriptors by GPT-3, each behind its class's name, see :func:`descriptor_text`. The mean
    of unit vectors is not scaled to unit length again: what agrees less among itself scores less.
    ``text_weights`` are these means. ``tools/predict.py --explain`` shows the likeliest class's
    descriptors.

    Args:
        sentences: A JSON file {class: [descriptor, ...]}; None for the descriptions of the
            training images as they are (the train pipeline needs ``AttachDescriptions``).
        **kwargs: See :class:`ZeroShotHead`, ``texts`` and ``templates`` apart.

    Raises:
        InputError: what :func:`sentences_of` raises.
    """

    described = True

    def __init__(
        self, num_classes: int, in_channels: int, sentences: str | None = None, **kwargs
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.sentences = sentences

    def set_up(self, inputs: HeadInputs) -> None:
        """Take over the mean of each class's unit embeddings."""
        if not inputs.trained:
            self.take_text_means(inputs.text_means(*self.texts_of(inputs), normalize=True))

    def texts_of(self, inputs: HeadInputs) -> tuple[list[str], list[Counter]]:
        """Unique descriptors, and how often each is one of each class."""
        if self.sentences:
            texts, counts = descriptors_in(self.sentences, inputs.classes)
            return texts, inputs.shifted(counts)
        return count_texts(sentences_of(inputs, None))

    def take_text_means(self, means: Tensor) -> None:
        """Classify by these, (N_c, D), of their own length."""
        self.text_weights.copy_(means)


def descriptors_in(file: str, classes: Sequence[str]) -> tuple[list[str], list[Counter]]:
    """Unique texts of a file's descriptors, and how often each is one of each class."""
    pairs = zip(classes, read_sentences(file, classes), strict=True)
    return count_texts([[descriptor_text(name, text) for text in texts] for name, texts in pairs])


def descriptor_text(name: str, descriptor: str) -> str:
    """'gull, which has a long bill' of the class 'gull' and its descriptor 'long bill'.

    As in the authors' code, the link depends on how the descriptor begins. A whole sentence, one
    that ends in a full stop, is taken as it is, which is ours. So is the readable name: of the
    authors' 10,183 texts 15 differ, where a name ends in '.' or is written like 'iPod'.
    """
    if descriptor.endswith('.'):
        return descriptor
    for link, beginnings in BEGINNINGS.items():
        if descriptor.startswith(beginnings):
            return f'{name}, {link} {descriptor}'
    return f'{name}, which has {descriptor}'
