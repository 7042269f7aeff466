"""The preprocessed images of a data set, each once, with a line for each that cannot be read."""

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..datasets.samples import iter_infos, transforms_of
from ..descriptions import AttachDescriptions
from ..descriptions.samples import image_name
from .keys import content_of


class ImagesOf(Dataset):
    """Path, preprocessed image and content's hash of some of a data set's samples.

    In place of the image of one that cannot be read is its error.

    Args:
        dataset: Whose pipeline prepares them.
        paths: Absolute paths of the images.
        view: Number of the view that is drawn of each by random transforms: the same number draws
            the same view of an image, whatever was drawn before. None: draw as it comes.
    """

    def __init__(self, dataset: Any, paths: list[str], view: str | None = None) -> None:
        self.view = view
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
            if self.view is None:
                return path, self._prepare(results), content_of(path)
            with drawn_by(f'{self.view}/{image_name(results)}'):
                return path, self._prepare(results), content_of(path)
        except Exception as error:  # whatever a decoder raises
            return path, f'{path}: {type(error).__name__}: {error}', ''

    def _prepare(self, results: dict) -> Tensor:
        for transform in self.transforms:
            if not isinstance(transform, AttachDescriptions):
                results = transform(results)
        return results['inputs']


@contextmanager
def drawn_by(name: str) -> Iterator[None]:
    """Let all random numbers start from a hash of ``name``, and go on afterwards as before."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], 'little')
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(number)
        np.random.seed(number)
        torch.default_generator.manual_seed(number)  # those of GPUs go on
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


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
    paths = [os.path.abspath(info['img_path']) for info in iter_infos(dataset)]
    images = ImagesOf(dataset, paths, 'first')  # a run that asks for none draws the same numbers
    samples = map(images.__getitem__, range(len(images)))
    return list(islice((image for _, image, _ in samples if isinstance(image, Tensor)), count))
