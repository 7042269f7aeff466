"""CLIP-A-self: attention among the sentences about a class."""

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ..errors import require_range
from ..text.embedding import embed_lists
from .base import draws_of_step
from .inputs import HeadInputs
from .learned_text import LearnedTextHead, sentences_of


class SentenceAttention(nn.Module):
    """Attention of one head, a quarter as wide as the embeddings, among a class's sentences."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.width = channels // 4
        self.query_key = nn.Linear(channels, 2 * self.width, bias=False)
        self.value = nn.Linear(channels, self.width, bias=False)
        self.out = nn.Linear(self.width, channels)
        for part in self.query_key.weight.split(self.width):
            nn.init.xavier_normal_(part)
        nn.init.xavier_normal_(self.value.weight, gain=0.67)
        nn.init.xavier_normal_(self.out.weight, gain=0.67)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Embeddings (N_c, S, D), of which (N_c, S) bool are there -> (N_c, S, D)."""
        query, key = self.query_key(x).split(self.width, dim=-1)
        dropout = 0.1 if self.training else 0.0
        x = F.scaled_dot_product_attention(query, key, self.value(x), there[:, None], dropout)
        return F.dropout(self.out(x), 0.5, self.training)


@MODELS.register_module()
class CLIPASelfHead(LearnedTextHead):
    """Logits s * cos(x, mean over a class's sentences of r * A(t) + (1 - r) * t); A trains.

    Maniparambil, Vorster, Molloy, Murphy, McGuinness and O'Connor, "Enhancing CLIP with GPT-4:
    Harnessing Visual Descriptions as Prompts", ICCV workshops 2023: sentences t, A self-attention
    among those of a class. Their code ends in a LayerNorm of 2 * (r * A(t) + (1 - r) * t), which
    changes the classifier even at r=0; without it, the default here, r=0 is the zero-shot
    classifier of the class means of the sentences.

    Args:
        sentences: A JSON file {class: [sentence, ...]}; by default the descriptions of the
            training images.
        ratio: r.
        layer_norm: End in a LayerNorm, which trains, as the authors' code.
        **kwargs: See :class:`LearnedTextHead`.

    Raises:
        InputError: a ratio outside [0, 1]; what :func:`sentences_of` raises.
    """

    described = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        sentences: str | None = None,
        ratio: float = 0.2,
        layer_norm: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        require_range('ratio', ratio, 0, 1)
        self.sentences, self.ratio = sentences, ratio
        self.attention = SentenceAttention(in_channels)
        self.norm = nn.LayerNorm(in_channels) if layer_norm else nn.Identity()
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))

    def take_texts(self, inputs: HeadInputs) -> None:
        """Embed the sentences of the data's classes."""
        sentences, tower = sentences_of(inputs, self.sentences), inputs.text_tower
        embeddings = [each.to(tower.device) for each in embed_lists(sentences, tower)]
        self.embeddings = pad_sequence(embeddings, batch_first=True)
        ones = [each.new_ones(len(each), dtype=torch.bool) for each in embeddings]
        self.there = pad_sequence(ones, batch_first=True)

    def class_weights(self) -> Tensor:
        """The mean of each class's sentences after attention, (N_c, D)."""
        with draws_of_step(int(self.steps), self.steps.device):  # its dropout
            attended = self.attention(self.embeddings, self.there)
        if self.training:
            self.steps += 1
        mixed = self.norm(2 * torch.lerp(self.embeddings, attended, self.ratio))
        there = self.there[..., None]
        return (mixed * there).sum(1) / there.sum(1)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        state_dict.setdefault(prefix + 'steps', self.steps)  # older checkpoints lack it
        super()._load_from_state_dict(state_dict, prefix, *args)
