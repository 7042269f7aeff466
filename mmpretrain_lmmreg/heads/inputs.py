"""What heads ask for before training: texts, embeddings, class means, each made once."""

import copy
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from os.path import abspath
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.runner import BaseLoop
from mmpretrain.models import ImageClassifier
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from ..clip.backbone import OpenCLIPVisual
from ..clip.text_tower import TextTower
from ..clip.timm_trunk import TimmTrunk
from ..datasets.files import some_of
from ..datasets.names import prompt_names
from ..descriptions.samples import image_name
from ..errors import InputError
from ..features.dataset import embed_images, image_embeddings, source_of
from ..features.loops import FrozenTrunkTrainLoop, use_all_features
from ..features.trunk import trunk_features
from ..text.class_means import means_by_label
from ..text.class_sentences import collect_descriptions, without_names
from ..text.embedding import embed_class_means
from ..text.prompts import class_prompts, count_texts

SOURCES = ('descriptions', 'class_names', 'auto', 'images')


class Samples(Subset):
    """Some samples of a data set, by their infos."""

    dataset: Any

    @property
    def metainfo(self) -> dict:
        return self.dataset.metainfo

    def get_data_info(self, index: int) -> dict:
        return self.dataset.get_data_info(self.indices[index])


class HeadInputs:
    """Handed to a head's ``set_up``; everything is made when it is first asked for, and kept.

    Args:
        model: The classifier, with its weights in place.
        loops: Of the images that the head is set up for, the training images' first.
        trained: Whether the head's weights are a resumed run's or a checkpoint's.
        templates: Prompts with the class names, each with one ``{}``.
        model_name, pretrained, text_context, source, shuffled, cut_names, match_gap: See
            :class:`ClassMeanHook`.

    Raises:
        InputError: data of another class count than the head's.
    """

    def __init__(
        self,
        model: ImageClassifier,
        loops: Sequence[BaseLoop],
        templates: Sequence[str],
        trained: bool = False,
        model_name: str | None = None,
        pretrained: str | None = None,
        text_context: int | None = None,
        source: str = 'descriptions',
        shuffled: bool = False,
        cut_names: bool = False,
        match_gap: bool = False,
    ) -> None:
        self.model, self.loop, self.templates = model, loops[0], templates
        self.datasets = [source_of(loop.dataloader) for loop in loops]
        self.trained = trained
        self.tower_name, self.text_context = (model_name, pretrained), text_context
        self.source, self.shuffled, self.match_gap = source, shuffled, match_gap
        self.cut_names = cut_names
        names = self.dataset.metainfo.get('classes') or ()
        if names and len(names) != model.head.num_classes:
            raise InputError(
                f'the data have {len(names)} classes, the head has '
                f'num_classes={model.head.num_classes}: set model.head.num_classes={len(names)}',
                code='heads.other_class_count',
            )

    @property
    def dataset(self) -> Any:
        """The data set of the (first) images."""
        return self.datasets[0]

    @property
    def infos(self) -> Iterator[dict]:
        """The info dict of each image, in the data set's order."""
        return map(self.dataset.get_data_info, range(len(self.dataset)))

    @property
    def on_features(self) -> bool:
        """Whether training reads the feature table, so that embeddings cost next to nothing."""
        return isinstance(self.loop, FrozenTrunkTrainLoop)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names as prompts have them; a data set without any raises InputError."""
        names = prompt_names(self.dataset.metainfo)
        if not names:
            raise InputError(
                f'{type(self.model.head).__name__} needs class names, and '
                f'{type(self.dataset).__name__} has none: give it metainfo=dict(classes=[...])',
                code='heads.no_class_names',
            )
        return names

    @cached_property
    def image_embeddings(self) -> tuple[Tensor, Tensor]:
        """Embeddings (N, D) and labels (N,) of all images, on the model's device."""
        if self.on_features:
            use_all_features(self.loop)
        return image_embeddings(self.model, self.loop.dataloader)

    @cached_property
    def embeddings(self) -> Tensor:
        """As :attr:`image_embeddings`, for a head that must not see labels, if there are any."""
        if self.on_features:
            use_all_features(self.loop)
        return embed_images(self.model, self.loop.dataloader)[0]

    def trunk_features(self, tower: TimmTrunk | None = None) -> Tensor:
        """Features (N, D_trunk) of all images' first view, by the model's trunk or another one."""
        loader = self.loop.dataloader
        images = DataLoader(
            self.dataset, loader.batch_sampler.batch_size, num_workers=loader.num_workers
        )
        views = self.loop.views if isinstance(self.loop, FrozenTrunkTrainLoop) else 1
        features, rows = trunk_features(tower or self.model, images, views)
        return features[[rows[abspath(info['img_path'])] for info in self.infos]].float()

    @cached_property
    def groups(self) -> Tensor:
        """Number of each image's source, (N,): a video's frames have one number."""
        numbers: dict[str, int] = {}
        names = [info.get('group') or image_name(info) for info in self.infos]
        return torch.tensor([numbers.setdefault(name, len(numbers)) for name in names])

    def subset(self, chosen: Tensor) -> 'HeadInputs':
        """The same inputs of the images that are ``chosen``, (N,) bool."""
        if chosen.all():
            return self
        part, rows = copy.copy(self), [each[chosen] for each in self.image_embeddings]
        for made_of_all in ('class_means', 'descriptions'):
            vars(part).pop(made_of_all, None)
        vars(part).update(groups=self.groups[chosen], embeddings=rows[0], image_embeddings=rows)
        part.datasets = [Samples(self.dataset, chosen.nonzero()[:, 0].tolist())]
        return part

    @cached_property
    def descriptions(self) -> tuple[list[str], list[Counter]]:
        """Unique descriptions of the images, and how often each occurs in each class."""
        texts, counts = collect_descriptions(self.dataset, self.model.head.num_classes)
        if self.cut_names:
            texts, counts = without_names(texts, counts, self.classes)
        return texts, self.shifted(counts)

    def shifted(self, of_classes: Sequence[Any]) -> list[Any]:
        """What each class has; with ``shuffled`` what the next one has."""
        first = int(self.shuffled)
        return [*of_classes[first:], *of_classes[:first]]

    @cached_property
    def text_tower(self) -> TextTower:
        """The text tower, on the model's device; one of another D raises InputError."""
        backbone, head = self.model.backbone, self.model.head
        name, weights = self.tower_name
        if name is None:
            name, weights = backbone.model_name, backbone.pretrained
        device = next(self.model.parameters()).device
        tower = TextTower(name, weights, device, self.text_context)
        dim = backbone.out_dim if isinstance(backbone, OpenCLIPVisual) else head.in_channels
        if tower.dim != dim:
            raise InputError(
                f'the text tower gives D={tower.dim}, the image embeddings have D={dim}: '
                'class_means.model_name must be the other tower of '
                f"model.backbone.model_name='{backbone.model_name}'",
                code='heads.other_width',
            )
        return tower

    def text_means(self, texts: list[str], counts: list[Counter], normalize: bool) -> Tensor:
        """Mean embedding of each class's texts, (N_c, D), see :func:`embed_class_means`."""
        names = self.shifted(self.dataset.metainfo.get('classes') or ())
        return embed_class_means(texts, counts, self.text_tower, normalize, names)

    def name_texts(self, templates: Sequence[str] | None = None) -> tuple[list[str], list[Counter]]:
        """Unique prompts with the class names, and which are each class's."""
        texts, counts = count_texts(class_prompts(self.classes, templates or self.templates))
        return texts, self.shifted(counts)

    @cached_property
    def class_means(self) -> Tensor:
        """Eq. 1, or what the hook's settings say instead, (N_c, D)."""
        if self.source == 'images':
            classes, names = self.model.head.num_classes, self.dataset.metainfo.get('classes')
            own = means_by_label(*self.image_embeddings, classes, names).cpu()
            means = torch.stack(self.shifted(list(own)))
        else:
            means = self.text_means(*self._texts_of_means(), self.model.head.normalize)
        if self.match_gap:
            means = means - means.mean(0) + self.image_embeddings[0].mean(0).cpu()
        return means

    def _texts_of_means(self) -> tuple[list[str], list[Counter]]:
        if self.source == 'descriptions' or (self.source == 'auto' and self.descriptions[0]):
            return self.descriptions
        prompts = class_prompts(self.classes, self.templates)
        shown = some_of([repr(each[0]) for each in prompts], 10)
        print_log(
            f'class means are those of prompts with the class names, such as '
            f"{shown} (from the config's `templates` and the data set's class "
            'names); no descriptions are used',
            'current',
            level=logging.INFO,
        )
        return count_texts(self.shifted(prompts))
