"""A data set of trunk features in place of images, its batches and its embeddings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from os.path import abspath
from typing import Any

import torch
from mmpretrain.datasets import PackInputs
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from mmpretrain.utils import get_ori_model
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..datasets.samples import transforms_of
from ..errors import InputError
from ..io.table import StoredRows, not_finite
from .keys import TEXT_TRANSFORMS
from .trunk import trunk_features

AT_A_TIME = 1024  # images that are projected; rounding may depend on it
KEPT_SAMPLES = 100_000  # DataSamples, which take longer to make than a batch to compute


class SampleBatch(Sequence):
    """The B DataSamples of a batch, taken from the data set when they are asked for.

    ``packed`` is one that holds all labels, (B,): a head that takes it saves a twentieth of a step.
    """

    def __init__(self, dataset: 'FeatureDataset', indices: Sequence[int], labels: Tensor) -> None:
        self.dataset, self.indices = dataset, indices
        self.packed = DataSample(gt_label=labels)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int | slice) -> DataSample | list[DataSample]:
        if isinstance(position, slice):
            return [self.dataset.sample(i) for i in self.indices[position]]
        return self.dataset.sample(self.indices[position])


class FeatureDataset(Dataset):
    """Trunk features and DataSamples of a data set's samples, in its order.

    Args:
        source: The data set of images, which may be wrapped.
        features: One row for each different image, (U, D_trunk), in memory or on disk; those of
            further views behind.
        rows: Row of each image by absolute path.
        device: Where batches are wanted.
    """

    def __init__(
        self,
        source: Any,
        features: Tensor | StoredRows,
        rows: dict[str, int],
        device: torch.device | str = 'cpu',
    ) -> None:
        self.source, self.device = source, torch.device(device)
        self.features = features.to(device) if isinstance(features, Tensor) else features
        self.metainfo = source.metainfo
        self.images, self.view = len(rows), 0  # U, and which view batches are of
        infos = map(source.get_data_info, range(len(source)))
        pairs = [(rows[abspath(info['img_path'])], info.get('gt_label')) for info in infos]
        self.rows = torch.tensor([row for row, _ in pairs])
        labels = [label for _, label in pairs]
        one_each = all(isinstance(label, Integral) for label in labels)
        self.labels = torch.tensor(labels, device=device) if one_each else None
        self.transforms = without_pixels(transforms_of(source))
        self.kept: dict[int, DataSample] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """A batch on the device: ``inputs`` (B, D_trunk), float32, and B ``data_samples``."""
        chosen = torch.tensor(indices)
        features = self.features[self.rows[chosen] + self.view * self.images]
        if self.labels is None:
            samples: Sequence[DataSample] = [self.sample(i) for i in indices]
        else:
            samples = SampleBatch(self, indices, self.labels[chosen.to(self.device)])
        return dict(inputs=features.to(self.device, torch.float32), data_samples=samples)

    def sample(self, index: int) -> DataSample:
        """A sample's DataSample on the device, which is the same in every epoch."""
        if index in self.kept:
            return self.kept[index]
        results = self.source.get_data_info(index)
        for transform in self.transforms:
            results = transform(results)
        sample = results['data_samples']
        if self.device.type != 'cpu':
            sample = sample.to(self.device)
        if len(self.kept) < KEPT_SAMPLES:
            self.kept[index] = sample
        return sample


def without_pixels(transforms: Sequence[Any]) -> list[Any]:
    """What remains of a pipeline: no pixels, and texts only if they are packed."""
    packed = {key for t in transforms for key in getattr(t, 'algorithm_keys', ())}
    kept = TEXT_TRANSFORMS if 'descriptions' in packed else (PackInputs,)
    return [t for t in transforms if type(t) in kept]


class FeatureLoader(DataLoader):
    """Batches of a :class:`FeatureDataset`, each made when it is asked for."""

    dataset: FeatureDataset
    batch_sampler: Any

    def __iter__(self) -> Iterator[dict]:  # type: ignore[override]
        super().__iter__()  # draws a number from torch's generator, as a loader of images does
        return map(self.dataset.__getitems__, self.batch_sampler)


def source_of(loader: DataLoader) -> Any:
    """The data set of images behind a loader, which may load the features of its images."""
    return getattr(loader.dataset, 'source', loader.dataset)


def feature_dataloader(model: nn.Module, images: DataLoader, views: int = 1) -> FeatureLoader:
    """A loader of trunk features with the same sampler and batches as one of images."""
    features, rows = trunk_features(get_ori_model(model), images, views)
    dataset = FeatureDataset(images.dataset, features, rows, next(model.parameters()).device)
    return FeatureLoader(dataset, batch_sampler=images.batch_sampler)


@contextmanager
def features_as_inputs(model: nn.Module, features: bool = True) -> Iterator[None]:
    """Let the classifier take batches of trunk features, which need no pixel preprocessing.

    mmpretrain's preprocessor has no switch for that, and it stays in place, since EMA pairs the
    model's buffers with its copy's by order. With ``features=False``, inside another one, it takes
    images again.
    """
    own = vars(get_ori_model(model).data_preprocessor)
    before = own.pop('forward', None)
    if features:
        own['forward'] = lambda batch, training=False: batch
    try:
        yield
    finally:
        own.pop('forward', None)
        if before is not None:
            own['forward'] = before


def image_embeddings(model: ImageClassifier, images: DataLoader) -> tuple[Tensor, Tensor]:
    """Embeddings (N, D) and labels (N,) of a loader's samples in order, on the model's device.

    Raises:
        InputError: multi-label data; what :func:`embed_images` raises.
    """
    embeddings, data = embed_images(model, images)
    if data.labels is None:
        raise InputError(
            'multi-label data are not supported: each image needs one label',
            code='heads.several_labels',
        )
    return embeddings, data.labels


@torch.no_grad()
def embed_images(model: ImageClassifier, images: DataLoader) -> tuple[Tensor, FeatureDataset]:
    """Embeddings (N, D) of a loader's samples in order, and the features that they are made of.

    Uses the feature table; the embeddings are unit vectors where ``model.head.normalize``.

    Raises:
        InputError: embeddings that are not finite.
    """
    data = images.dataset
    if not isinstance(data, FeatureDataset):
        data = feature_dataloader(model, images).dataset
    training, device = model.training, next(model.parameters()).device
    model.eval()  # a projection may have dropout
    embeddings = torch.empty(0, device=device)
    for number, rows in enumerate(data.rows.split(AT_A_TIME)):
        features = data.features[rows].to(device, torch.float32)
        x = model.head.pre_logits(model.extract_feat(features))
        if not number:  # room for all, since a million parts and their whole are twice as much
            embeddings = x.new_empty(len(data), x.shape[1])
        embeddings[number * AT_A_TIME :][: len(x)] = x
    model.train(training)
    wrong = not_finite(embeddings)
    if wrong:
        name = data.source.get_data_info(wrong[0])['img_path']
        raise InputError(
            f'the embeddings of {len(wrong)} images are not finite, the first is of {name}: the '
            'weights that training starts from are damaged',
            code='features.not_finite',
        )
    return embeddings, data
