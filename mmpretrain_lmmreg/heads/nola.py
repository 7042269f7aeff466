"""Learning without labels: pseudo-labels from texts, passed on through another image tower."""

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from ..clip.timm_trunk import TimmTrunk
from ..errors import InputError, require_range
from ..text.class_sentences import read_sentences
from ..text.prompts import class_prompts, count_texts
from .base import not_set_up
from .inputs import HeadInputs
from .zero_shot import ZeroShotHead

BATCH, HIDDEN = 32, 256  # of the labelling network, as in the authors' code


@MODELS.register_module()
class NoLAHead(ZeroShotHead):
    """Logits x W' whose W trains on pseudo-labels; no label of a training image is read.

    Imam, Marew, Hassan, Fiaz, Aji and Cholakkal, "CLIP meets DINO for Tuning Zero-Shot Classifier
    using Unlabeled Image Collections" (No Labels Attached), 2024. Three steps: prototypes, the mean
    of the unit embeddings of each class's sentences and prompts; of each class the images that
    these are surest of teach a small network on another tower's features, see
    :func:`train_labeller`, which then labels all images; W, which starts at the unit prototypes,
    trains on these labels and meets embeddings x as they are. Ours: W trains alone; features of the
    labelling tower are standardised, as towers differ in scale; a class that is no image's
    likeliest learns from the images that it is likeliest on. Descriptions of training images make
    no prototypes: whose they are is known from labels only. ``pseudo_labels`` (N,), in the order of
    the images, are in the checkpoint.

    Args:
        sentences: A JSON file {class: [sentence, ...]}; None for prompts of class names alone.
        tower: The labelling tower, see :class:`TimmTrunk`; None for CLIP's own trunk.
        confident: Images of each class that teach the labelling network; by default as theirs a
            fifth of the images a class, and at least 16.
        epochs: Of the labelling network; 50 as theirs.
        **kwargs: See :class:`ZeroShotHead`; ``texts`` plays no part, and ``logit_scale`` in the
            first step only.

    Raises:
        InputError: what :func:`read_sentences` and :class:`TimmTrunk` raise; mixed images;
            a run that is resumed with other images; training without the hook.
    """

    reads_labels = False
    any_length = ('pseudo_labels',)

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        sentences: str | None = None,
        tower: str | None = None,
        confident: int | None = None,
        epochs: int = 50,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        if confident is not None:
            require_range('confident', confident, 1)
        require_range('epochs', epochs, 1)
        self.sentences, self.tower = sentences, tower
        self.confident, self.epochs = confident, epochs
        self.weight = nn.Parameter(torch.zeros(num_classes, in_channels))
        self.register_buffer('pseudo_labels', torch.zeros(0, dtype=torch.long))
        self.rows: dict[str, int] = {}  # of each image file among them; not in the checkpoint

    def set_up(self, inputs: HeadInputs) -> None:
        """Start from the texts and label the images, unless resumed."""
        paths = [info['img_path'] for info in inputs.infos]
        if not inputs.trained:
            self.take_text_means(inputs.text_means(*self.texts_of(inputs), normalize=True))
            self.pseudo_labels = self.label(inputs)
        if len(paths) != len(self.pseudo_labels):
            raise InputError(
                f'the checkpoint has pseudo-labels of {len(self.pseudo_labels)} images, the '
                f'training list {len(paths)}: resume with the list of the first start',
                code='heads.other_images',
            )
        self.rows = {path: row for row, path in enumerate(paths)}

    def take_text_means(self, means: Tensor) -> None:
        """Start from these text embeddings, (N_c, D)."""
        super().take_text_means(means)
        self.weight.data.copy_(self.text_weights)

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Logits (B, N_c) of embeddings (B, D)."""
        self.check_fitted()
        return F.linear(self.pre_logits(feats), self.weight)

    def texts_of(self, inputs: HeadInputs) -> tuple[list[str], list]:
        """Unique texts, and how often each is one of each class."""
        texts = class_prompts(inputs.classes, self.templates or inputs.templates)
        if self.sentences:
            own = read_sentences(self.sentences, inputs.classes)
            texts = [a + b for a, b in zip(own, texts, strict=True)]
        return count_texts(inputs.shifted(texts))

    def label(self, inputs: HeadInputs) -> Tensor:
        """Pseudo-labels of all images, (N,), from the prototypes and the labelling tower."""
        tower = None
        device = self.weight.device
        if self.tower:
            tower = TimmTrunk(self.tower, inputs.model.data_preprocessor.to_rgb, device)
        features = inputs.trunk_features(tower).to(device)
        probabilities = super().forward((inputs.embeddings,)).softmax(1)
        count = self.confident or max(16, len(features) // (5 * self.num_classes))
        rows, labels = surest(probabilities, count)
        features = (features - features.mean(0)) / features.std(0).clamp_min(1e-6)
        labeller = train_labeller(features[rows], labels, self.num_classes, self.epochs)
        with torch.no_grad():
            found = labeller(features).argmax(1)
        same = (found == probabilities.argmax(1)).double().mean()
        print_log(
            f'NoLA: {len(rows)} images with the surest text labels taught the labels of '
            f"{len(found)}; {same:.0%} of them are the texts' own",
            'current',
        )
        return found

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample], **kwargs) -> dict:
        """Loss of the pseudo-labels; see mmpretrain's ``ClsHead.loss``."""
        if not self.rows:
            raise not_set_up(self)
        if 'gt_score' in data_samples[0]:
            raise InputError(
                'NoLAHead: mixed images have no pseudo-label; remove batch_augments',
                code='heads.mixed_images',
            )
        rows = [self.rows[sample.img_path] for sample in data_samples]
        return self._get_loss(
            self(feats), [DataSample().set_gt_label(self.pseudo_labels[rows])], **kwargs
        )


def surest(probabilities: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Rows (K,) of the images that are surest to be of each class, and these classes (K,).

    Args:
        probabilities: (N, N_c).
        count: Images of each class, at most. They are taken of those that the class is the
            likeliest of; where it is of none, of all.
    """
    best = probabilities.argmax(1)
    rows, labels = [], []
    for label, column in enumerate(probabilities.T):
        own = (best == label).nonzero().flatten()
        own = own if len(own) else torch.arange(len(best), device=best.device)
        rows.append(own[column[own].argsort(descending=True, stable=True)[:count]])
        labels.append(torch.full_like(rows[-1], label))
    return torch.cat(rows), torch.cat(labels)


@torch.enable_grad()
def train_labeller(features: Tensor, labels: Tensor, num_classes: int, epochs: int) -> nn.Module:
    """The authors' alignment module: linear, ReLU, linear, by Adam at 1e-3.

    The random numbers of the training that follows are left as they are.

    Args:
        features: Of the labelling tower, (K, D_trunk).
        labels: (K,).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch.initial_seed())
        network = nn.Sequential(
            nn.Linear(features.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, num_classes)
        ).to(features)
        optimizer = torch.optim.Adam(network.parameters())
        for _ in range(epochs):
            for rows in torch.randperm(len(labels)).to(labels.device).split(BATCH):
                optimizer.zero_grad()
                F.cross_entropy(network(features[rows]), labels[rows]).backward()
                optimizer.step()
    return network
