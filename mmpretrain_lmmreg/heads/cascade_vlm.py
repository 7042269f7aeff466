"""CLIP names a few classes, and an LMM chooses among them."""

import re
from collections.abc import Sequence

import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from ..datasets.names import bare_name
from ..errors import InputError, require_range
from .on_demand import DescriptionReader, Embed, count_of
from .zero_shot import ZeroShotHead

CANDIDATES = '{candidates}'
PROMPT = f'Which of these does the image show: {CANDIDATES}? Answer with one of them alone.'


@MODELS.register_module()
class CascadeVLMHead(ZeroShotHead):
    """CLIP's zero-shot classifier, whose likeliest classes an LMM is asked to choose among.

    Wei et al., "Enhancing Fine-Grained Image Classifications via Cascaded Vision Language Models",
    2024 (arXiv 2405.11301). ``predict --describer`` asks about the images of the largest entropy.
    Testing is by CLIP alone.

    Args:
        candidates: Classes that the prompt names, the likeliest first.
        threshold: Entropy in nats above which an image is asked about, within the budget.
        prompt: Holds ``{candidates}``.
        **kwargs: See :class:`ZeroShotHead`.

    Raises:
        InputError: a prompt without ``{candidates}``; ``candidates`` below 2.

    Example:
        >>> CascadeVLMHead(6, 512, candidates=3).candidates
        3
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        candidates: int = 5,
        threshold: float = 0.0,
        prompt: str = PROMPT,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        require_range('candidates', candidates, 2)
        if CANDIDATES not in prompt:
            raise InputError(
                f'model.head.prompt={prompt!r} does not name the candidates: put {CANDIDATES} '
                'where they belong',
                code='config.unknown_value',
            )
        self.candidates, self.threshold, self.prompt = candidates, threshold, prompt

    def reader(self, classes: Sequence[str]) -> 'CandidateReader':
        """What answers change in probabilities of these classes."""
        return CandidateReader(classes, self.candidates, self.threshold, self.prompt)


class CandidateReader:
    """The class that an answer names takes the likeliest one's probability, and the reverse.

    Example:
        >>> reader = CandidateReader(('ant', 'bee', 'cow'), 2, 0.0, 'Which one: {candidates}?')
        >>> p = torch.tensor([[0.5, 0.1, 0.4]])
        >>> reader.prompts_for(p)
        [['Which one: ant, cow?']]
        >>> reader.read(p, [['It is a cow.']], None)
        tensor([[0.4000, 0.1000, 0.5000]])
    """

    count = 1

    def __init__(
        self, classes: Sequence[str], candidates: int, threshold: float, prompt: str
    ) -> None:
        self.classes, self.threshold, self.prompt = classes, threshold, prompt
        self.candidates = min(candidates, len(classes))
        self.curve = torch.zeros(21, 3)

    def unsure(self, probabilities: Tensor, share: float) -> Tensor:
        """Those of the largest entropy, if it is above the threshold."""
        entropy = torch.special.entr(probabilities).sum(1)
        order = entropy.argsort(descending=True, stable=True)
        order = order[: count_of(share, len(order))]
        return order[entropy[order] > self.threshold]

    def prompts_for(self, probabilities: Tensor) -> Sequence[Sequence[str]]:
        """The prompt with each image's candidates, the likeliest first."""
        chosen = probabilities.topk(self.candidates, dim=1).indices.tolist()
        names = (', '.join(self.classes[c] for c in row) for row in chosen)
        return [[self.prompt.replace(CANDIDATES, each)] for each in names]

    def read(self, probabilities: Tensor, replies: Sequence[Sequence[str]], embed: Embed) -> Tensor:
        """Classes as answered; CLIP's where a reply names none of the candidates, or several."""
        found = probabilities.clone()
        for row, reply in zip(found, replies, strict=True):
            top = row.topk(self.candidates).indices.tolist()
            label = self._named(' '.join(reply), top)
            row[[top[0], label]] = row[[label, top[0]]]
        return found

    def _named(self, reply: str, candidates: list[int]) -> int:
        said = bare_name(reply)
        exact = [c for c in candidates if bare_name(self.classes[c]) == said]
        text, words = _words(reply), {c: _words(self.classes[c]) for c in candidates}
        named = [c for c in candidates if words[c] in text]
        inner = {a for a in named for b in named if a != b and words[a] in words[b]}
        named = exact or [c for c in named if c not in inner]
        return named[0] if len(named) == 1 else candidates[0]


def _words(text: str) -> str:
    """Its words in small letters, each between spaces."""
    return ' '.join(['', *re.findall(r'\w+', text.casefold()), ''])


Reader = DescriptionReader | CandidateReader  # of replies about single images
