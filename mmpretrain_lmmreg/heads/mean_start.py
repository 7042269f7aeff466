"""A linear classifier that starts from what texts and images say of the classes."""

from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from mmengine.logging import print_log
from mmpretrain.registry import MODELS
from torch import Tensor

from ..errors import InputError, require_one_of
from ..text.class_means import alignment, class_counts, means_by_label
from .class_mean_reg import ClassMeanRegHead
from .gda import gaussian_classifier
from .inputs import HeadInputs
from .stacking import (
    Classifier,
    left_out_scores,
    mean_classifier,
    stacking_weights,
    text_classifier,
)

TEXTS = ('descriptions', 'class_names')
IMAGES = {'means': (mean_classifier, 10**9), 'gaussian': (gaussian_classifier, 5)}  # and folds


@MODELS.register_module()
class MeanStartHead(ClassMeanRegHead):
    """Linear classifier on unit embeddings, started at s_t * t_c + s_v * v_c, then trained.

    t_c is the centred direction of a class's texts, v_c a classifier of the training images; the
    weights s >= 0 minimise the cross entropy on images that v was fitted without (no group is
    divided), so that texts which do not help get weight 0. With ``trainable='none'`` and
    ``max_epochs=1`` the start is the result, a closed form.

    Args:
        texts: Any of ``'descriptions'`` (of the training images) and ``'class_names'``; none of
            them starts from images alone.
        images: v: ``'means'``, the centred mean of a class's images; ``'gaussian'``, Bayes'
            classifier of Gaussians, see :func:`gaussian_classifier`.
        train_classifier: Whether the classifier trains, too.
        **kwargs: See :class:`ClassMeanRegHead`, ``normalize`` and ``fc_init`` apart; ``alpha`` is 0
            by default.

    Raises:
        InputError: unknown options; a class without training images; SciPy is missing.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        texts: Sequence[str] = ('class_names',),
        images: str = 'means',
        alpha: float = 0.0,
        train_classifier: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, alpha=alpha, normalize=True, **kwargs)
        unknown = [name for name in texts if name not in TEXTS]
        if isinstance(texts, str) or unknown:
            raise InputError(
                f'texts={texts!r} must be a list of any of {TEXTS}', code='config.unknown_value'
            )
        require_one_of('images', images, tuple(IMAGES))
        self.text_sources, self.image_source = tuple(texts), images
        self.fc.requires_grad_(train_classifier)

    @classmethod
    def described_splits(cls, head: dict, means: dict) -> tuple[str, ...]:
        """``train``, where descriptions are among the texts or make class means."""
        own = 'descriptions' in head.get('texts', ())
        return ('train',) if own else super().described_splits({'alpha': 0, **head}, means)

    def set_up(self, inputs: HeadInputs) -> None:
        """Fit the weights and set the classifier to its start."""
        super().set_up(inputs)
        if inputs.trained:
            return
        texts = {name: self._text_means(inputs, name) for name in self.text_sources}
        self.fit(*inputs.image_embeddings, inputs.groups, texts)

    def _text_means(self, inputs: HeadInputs, source: str) -> Tensor:
        texts = inputs.descriptions if source == 'descriptions' else inputs.name_texts()
        return inputs.text_means(*texts, normalize=True)

    def fit(self, x: Tensor, labels: Tensor, groups: Tensor, texts: dict[str, Tensor]) -> None:
        """Set the classifier to its start.

        Args:
            x: Unit embeddings of the training images, (N, D).
            labels: (N,).
            groups: Number of each image's source, (N,).
            texts: Mean text embeddings of each class by source, (N_c, D).
        """
        class_counts(labels, self.num_classes)
        x = x.double()
        classify, folds = IMAGES[self.image_source]
        fit_images = partial(classify, num_classes=self.num_classes)
        parts: dict[str, Classifier] = {
            name: text_classifier(x, means.to(x)) for name, means in texts.items()
        }
        scores = [F.linear(x, *part) for part in parts.values()]
        parts['images'] = fit_images(x, labels)
        scores.append(left_out_scores(fit_images, x, labels, groups, folds))
        weights = stacking_weights(scores, labels)
        weighted = list(zip(weights, parts.values(), strict=True))
        self.fc.weight.data.copy_(sum(s * weight for s, (weight, _) in weighted))
        self.fc.bias.data.copy_(sum(s * bias for s, (_, bias) in weighted))
        self._tell(dict(zip(parts, weights, strict=True)), x, labels, texts)

    def _tell(self, weights: dict, x: Tensor, labels: Tensor, texts: dict[str, Tensor]) -> None:
        images = means_by_label(x.cpu(), labels.cpu(), self.num_classes)
        self.start = {f'weight of {name}': round(s, 4) for name, s in weights.items()}
        for name, means in texts.items():
            self.start[f'alignment of {name}'] = round(alignment(means.cpu().float(), images), 4)
        figures = ', '.join(f'{name} {value:.3g}' for name, value in self.start.items())
        print_log(f'the classifier starts from texts and images: {figures}', 'current')
