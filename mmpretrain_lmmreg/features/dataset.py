"""A data set of trunk features in place of images, fed to the model batch by batch."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from os.path import abspath
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from mmpretrain.utils import get_ori_model
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .samples import transforms_of
from .trunk import PIXEL_TRANSFORMS, trunk_features


class FeatureDataset(Dataset):
    """Trunk features and DataSamples of a data set's samples, in its order.

    Args:
        source: The data set of images, which may be wrapped.
        features: One row for each different image, (U, D_trunk).
        rows: Row of each image by absolute path.
    """

    def __init__(self, source: Any, features: Tensor, rows: dict[str, int]) -> None:
        self.source, self.features = source, features
        self.metainfo = source.metainfo
        self.rows = torch.tensor([rows[abspath(source.get_data_info(i)['img_path'])]
                                  for i in range(len(source))])
        self.transforms = without_pixels(transforms_of(source))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """A batch: ``inputs`` (B, D_trunk) and B ``data_samples``."""
        return dict(inputs=self.features[self.rows[list(indices)]],
                    data_samples=[self._sample(index) for index in indices])

    def _sample(self, index: int) -> Any:
        results = self.source.get_data_info(index)
        for transform in self.transforms:
            results = transform(results)
        return results['data_samples']


def without_pixels(transforms: Sequence[Any]) -> list[Any]:
    """What remains of a pipeline: no pixels, and texts only if they are packed."""
    packed = {key for t in transforms for key in getattr(t, 'algorithm_keys', ())}
    left_out = PIXEL_TRANSFORMS + (() if 'descriptions' in packed else ('AttachDescriptions',))
    return [t for t in transforms if type(t).__name__ not in left_out]


def feature_dataloader(model: nn.Module, images: DataLoader) -> DataLoader:
    """A loader of trunk features with the same sampler and batches as one of images."""
    features, rows = trunk_features(get_ori_model(model), images)
    return DataLoader(FeatureDataset(images.dataset, features, rows),
                      batch_sampler=images.batch_sampler, collate_fn=_batch)


def _batch(batch: dict) -> dict:
    return batch


@contextmanager
def features_as_inputs(model: nn.Module) -> Iterator[None]:
    """Let the classifier take batches of trunk features, which need no pixel preprocessing.

    The preprocessor stays in place, since EMA pairs the model's buffers with its copy's by order.
    """
    preprocessor = get_ori_model(model).data_preprocessor
    preprocessor.forward = partial(BaseDataPreprocessor.forward, preprocessor)
    try:
        yield
    finally:
        del preprocessor.forward
