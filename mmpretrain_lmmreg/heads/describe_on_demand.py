"""An image classifier that takes descriptions of the images it is unsure of into account."""

import copy
import os
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from ..clip.text_tower import TextTower
from ..datasets.samples import transforms_of
from ..descriptions.attach import AttachDescriptions
from ..descriptions.samples import default_prompt
from ..errors import InputError, require_range
from ..features.dataset import image_embeddings
from ..text.class_means import class_counts
from .base import SetUpHead
from .image_text import embed_means
from .inputs import HeadInputs
from .on_demand import FOLDS, DescriptionReader, accuracy_curve, fit_product
from .stacking import fold_numbers, stacking_weights, text_classifier


@MODELS.register_module()
class DescribeOnDemandHead(SetUpHead, ClsHead):
    """A product of an image classifier and a text classifier of the image's own descriptions.

    Without descriptions it is the image classifier, with calibrated probabilities. Exponents of
    the product are found on described training images, each with scores of classifiers that were
    fitted without it; see :func:`~.on_demand.fit_product`. Without described training images the
    text's exponent is ``exponent``. An image classifier that trains by gradient steps does so
    without a fifth of the described images, on which the exponents are found.

    Buffers: ``scale`` () makes the image classifier's logits calibrated; ``exponents`` (3,) of
    image, class-name prompts and learned text classifier; ``text_weight`` (N_c, D) and
    ``text_bias`` (N_c,), both text classifiers with their exponents; ``curve`` (21, 3), rows of
    share described, threshold of the margin, held-out accuracy in [0, 1].

    Args:
        num_classes: N_c.
        in_channels: D, the width of image and text embeddings.
        classifier: Settings of the image classifier's head, without sizes.
        descriptions: Descriptions of an image that are read, the first ones; 1 by default.
        prompts: Whose replies are read; ``predict`` asks the first one. By default the request
            for so many descriptions (of one: a sentence), and the paper's for ten.
        exponent: Of the class-name prompts where no training image is described; 0, so that text
            is not used, by default.
        cache: The descriptions file; by default that of the training images' pipeline.

    Raises:
        InputError: ``descriptions`` out of range; a ``classifier`` that needs text to classify.

    Example:
        >>> head = dict(type='DescribeOnDemandHead', num_classes=6, in_channels=512,
        ...             classifier=dict(type='LogisticRegressionHead'))
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        classifier: dict,
        descriptions: int = 1,
        prompts: Sequence[str] | None = None,
        exponent: float = 0.0,
        cache: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        require_range('descriptions', descriptions, 1)
        require_range('exponent', exponent, 0)
        self.num_classes, self.in_channels = num_classes, in_channels
        self.descriptions, self.exponent = descriptions, exponent
        asked = prompts or (default_prompt(descriptions), default_prompt(10))
        self.prompts = tuple(dict.fromkeys(asked))
        self.cache = cache
        sizes = dict(num_classes=num_classes, in_channels=in_channels)
        self.classifier = MODELS.build({**classifier, **sizes})
        self.loss_module = self.classifier.loss_module  # whose classes ClassWeightHook weighs
        if isinstance(self.classifier, SetUpHead) and self.classifier.inputs_at_test:
            raise InputError(
                f'{classifier["type"]} classifies with texts of its own: choose a head with a '
                'classifier of fixed classes',
                code='heads.no_fixed_classes',
            )
        self.register_buffer('scale', torch.ones(()))
        self.register_buffer('exponents', torch.tensor([1.0, 0.0, 0.0]))
        self.register_buffer('text_weight', torch.zeros(num_classes, in_channels))
        self.register_buffer('text_bias', torch.zeros(num_classes))
        self.register_buffer('curve', torch.zeros(21, 3))
        self.held: set[str] = set()  # paths of images that do not train the classifier
        self.inputs: HeadInputs | None = None

    @property
    def normalize(self) -> bool:
        """Of class means, as the image classifier has it."""
        return getattr(self.classifier, 'normalize', False)

    @classmethod
    def described_splits(cls, head: dict, means: dict) -> tuple[str, ...]:
        """Those that the image classifier needs."""
        inner = head.get('classifier') or {}
        kind = MODELS.get(inner['type']) if isinstance(inner.get('type'), str) else None
        if isinstance(kind, type) and issubclass(kind, SetUpHead):
            return kind.described_splits(inner, means)
        return ()

    def set_up(self, inputs: HeadInputs) -> None:
        """Fit what is fitted, or hold out what the exponents are found on after each epoch."""
        self.set_up_with(inputs, self._described(inputs))

    def set_up_with(self, inputs: HeadInputs, found: dict[int, list[str]]) -> None:
        """As :meth:`set_up`, with descriptions of training images by their place."""
        described, texts = torch.tensor(sorted(found), dtype=torch.long), torch.zeros(0, 1)
        if found:
            texts = embed_unit([found[i] for i in described.tolist()], inputs.text_tower).cpu()
        labels = torch.tensor([info['gt_label'] for info in inputs.infos])
        groups = inputs.groups
        if any(p.requires_grad for p in self.classifier.parameters()):
            fold = fold_numbers(labels[described], groups[described], FOLDS)
            held = torch.isin(groups, groups[described[fold == 0]])
            if (torch.bincount(labels[~held], minlength=self.num_classes) == 0).any():
                held[:] = False
            pairs = zip(inputs.infos, held.tolist(), strict=True)
            self.held = {os.path.abspath(info['img_path']) for info, out in pairs if out}
            if isinstance(self.classifier, SetUpHead):
                self.classifier.set_up(inputs.subset(~held))
            self.inputs, self.held_rows = inputs, (described, texts, held)
            if not found and not inputs.trained:
                self._without_texts(inputs)
            return
        if inputs.trained:
            return
        x, _ = inputs.image_embeddings
        class_counts(labels, self.num_classes)
        self.classifier.set_up(inputs)
        scores = torch.zeros(len(x), self.num_classes)
        fold = fold_numbers(labels, groups, FOLDS)
        for number in fold.unique():
            out = fold == number
            if (torch.bincount(labels[~out], minlength=self.num_classes) == 0).any():
                print_log('a class has too few images to hold some out: no text is used', 'current')
                return
            fitted = copy.deepcopy(self.classifier)
            fitted.set_up(inputs.subset(~out))
            scores[out] = fitted((x[out],)).float().cpu()
        self._take(inputs, scores, labels, torch.ones_like(out), described, texts)

    def _take(
        self,
        inputs: HeadInputs,
        scores: Tensor,
        labels: Tensor,
        held: Tensor,
        described: Tensor,
        texts: Tensor,
    ) -> None:
        """Find scale, exponents and curve from the scores (N, N_c) of held-out images, (N,) bool.

        ``texts`` are unit embeddings of the descriptions of the images ``described``.
        """
        self.scale.fill_(max(stacking_weights([scores[held]], labels[held])[0], 1e-6))
        if not len(texts):
            self._without_texts(inputs)
            return
        prompts = inputs.text_means(*inputs.name_texts(), True).cpu()
        use = held[described]
        described, texts = described[use], texts[use]
        image, own = scores[described], labels[described]
        product = fit_product(image, texts, prompts, own, inputs.groups[described])
        self._set(product.exponents, product.weight, product.bias)
        sure = (self.scale.cpu() * image).softmax(1)
        self.curve.copy_(accuracy_curve(sure, product.left_out, own))
        print_log(
            f'exponents by {len(own)} described training images: image {product.exponents[0]:.3g}, '
            f'class names {product.exponents[1]:.3g}, learned text {product.exponents[2]:.3g}; '
            f'held-out accuracy {self.curve[0, 2]:.1%} without descriptions, '
            f'{self.curve[4, 2]:.1%} with a fifth described, {self.curve[-1, 2]:.1%} with all',
            'current',
        )

    def _without_texts(self, inputs: HeadInputs) -> None:
        """Give the class-name prompts the exponent that the config says."""
        print_log(
            f'no training image has a reply to {" or ".join(map(repr, self.prompts))} '
            f'(model.head.prompts): class names have the exponent {self.exponent:g}',
            'current',
        )
        if self.exponent:
            prompts = inputs.text_means(*inputs.name_texts(), True).cpu()
            weight, bias = text_classifier(F.normalize(prompts, dim=1), prompts)
            exponents = [self.scale.item(), self.exponent, 0.0]
            self._set(exponents, self.exponent * weight, self.exponent * bias)

    def _set(self, exponents: list[float], weight: Tensor, bias: Tensor) -> None:
        self.exponents.copy_(torch.tensor(exponents))
        self.text_weight.copy_(weight)
        self.text_bias.copy_(bias)

    @torch.no_grad()
    def after_epoch(self, averaged: Sequence['DescribeOnDemandHead']) -> None:
        """Find the exponents anew for the image classifier as it is now."""
        if isinstance(self.classifier, SetUpHead):
            self.classifier.after_epoch([head.classifier for head in averaged])
        if self.inputs is None or not self.held:
            return
        described, texts, held = self.held_rows
        x, labels = image_embeddings(self.inputs.model, self.inputs.loop.dataloader)
        training = self.training
        self.eval()
        scores = self.classifier((x,)).float().cpu()
        self.train(training)
        self._take(self.inputs, scores, labels.cpu(), held, described, texts)
        for head in averaged:
            for name, value in self.named_buffers(recurse=False):
                head.get_buffer(name).copy_(value)

    def _described(self, inputs: HeadInputs) -> dict[int, list[str]]:
        """The first descriptions of training images, by their place in the data set."""
        own = (t for t in transforms_of(inputs.dataset) if isinstance(t, AttachDescriptions))
        given = next(own, AttachDescriptions())
        cache = self.cache or given.cache
        attach = AttachDescriptions(cache, given.data_root, 'skip', prompts=self.prompts)
        found = enumerate(map(attach.lookup, inputs.infos))
        return {i: texts[: self.descriptions] for i, texts in found if texts}

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Calibrated logits (B, N_c) of embeddings (B, D) alone."""
        return self.scale * self.classifier(feats)

    def pre_logits(self, feats: tuple[Tensor]) -> Tensor:
        """The embeddings, (B, D)."""
        return self.classifier.pre_logits(feats)

    def reader(self, classes: Sequence[str] = ()) -> DescriptionReader:
        """What descriptions change in calibrated probabilities."""
        exponent = (self.exponents[0] / self.scale).item()
        weight, bias, curve = self.text_weight.cpu(), self.text_bias.cpu(), self.curve.cpu()
        return DescriptionReader(exponent, weight, bias, curve, self.descriptions, self.prompts)

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample], **kwargs) -> dict:
        """The image classifier's, without the images that the exponents are found on."""
        keep = [
            i
            for i, sample in enumerate(data_samples)
            if os.path.abspath(sample.get('img_path') or '') not in self.held
        ]
        if not keep:
            return dict(loss=0 * sum(p.sum() for p in self.classifier.parameters()))
        kept = tuple(x[keep] for x in feats)
        return self.classifier.loss(kept, [data_samples[i] for i in keep], **kwargs)

    def predict(
        self, feats: tuple[Tensor], data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predictions by the image alone; see mmpretrain's ``ClsHead.predict``."""
        return self._get_predictions(self(feats), data_samples)

    def exported_cache(self) -> dict[str, Tensor]:
        """That of the image classifier, calibrated."""
        inner = self.classifier
        cache = inner.exported_cache() if isinstance(inner, SetUpHead) else {}
        return {**cache, 'key_values': self.scale * cache['key_values']} if cache else {}


def embed_unit(lists: Sequence[Sequence[str]], tower: TextTower) -> Tensor:
    """Unit vectors of each list's mean text embedding, (N, D)."""
    return F.normalize(embed_means(lists, tower), dim=1)
