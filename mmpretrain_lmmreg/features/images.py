"""The preprocessed images of a data set, each once, with a line for each that cannot be read."""

import os
from itertools import islice
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from ..datasets.samples import iter_infos, transforms_of
from ..descriptions import AttachDescriptions
from .keys import content_of


class ImagesOf(Dataset):
    """Path, preprocessed image and content's hash of some of a data set's samples.

    In place of the image of one that cannot be read is its error.
    """

    def __init__(self, dataset: Any, paths: list[str]) -> None:
        wanted = set(paths)
        self.infos = [
            info for info in iter_infos(dataset) if os.path.abspath(info['img_path']) in wanted
        ]
        self.transforms = transforms_of(dataset)

    def __len__(self) -> int:
        return len(self.infos)

    def __getitem__(self, index: int) -> tuple[str, Any, str]:
        results = dict(self.infos[index])
        path = results['img_path']
        try:
            for transform in self.transforms:
                if not isinstance(transform, AttachDescriptions):
                    results = transform(results)
            return path, results['inputs'], content_of(path)
        except Exception as error:  # whatever a decoder raises
            return path, f'{path}: {type(error).__name__}: {error}', ''


def collate(
    batch: list[tuple[str, Any, str]],
) -> tuple[list[str], list[Tensor], list[str], list[str]]:
    """Paths, images and contents of what can be read, and a line for each other sample."""
    good = [sample for sample in batch if not isinstance(sample[1], str)]
    paths, images, contents = zip(*good, strict=True) if good else ((), (), ())
    errors = [image for _, image, _ in batch if isinstance(image, str)]
    return list(paths), list(images), list(contents), errors


def first_images(dataset: Any, count: int) -> list[Tensor]:
    """The first ``count`` images of a data set that can be read, each (3, H, W)."""
    images = ImagesOf(dataset, [os.path.abspath(i['img_path']) for i in iter_infos(dataset)])
    readable = (
        image
        for _, image, _ in map(images.__getitem__, range(len(images)))
        if not isinstance(image, str)
    )
    return list(islice(readable, count))
