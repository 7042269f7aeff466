"""The temperature by which logits become calibrated probabilities, fitted on validation images."""

import os
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from torch import Tensor
from torch.utils.data import DataLoader

from ..datasets.names import check_same_classes
from ..datasets.samples import iter_infos
from ..features.dataset import image_embeddings
from .classifier import Classifier

LIMITS = (0.05, 20.0)  # where every image is classified rightly, ever smaller fits ever better


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """T that minimises the mean cross entropy of softmax(logits / T), within :data:`LIMITS`.

    Logits (N, N_c), labels (N,). The objective is convex in 1 / T.
    """
    logits = logits.double()
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scale], max_iter=100, line_search_fn='strong_wolfe')

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(logits * scale, labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    low, high = LIMITS
    best = scale.item()
    return high if best <= 1 / high else max(1 / best, low)


def calibrate(classifier: Classifier) -> tuple[float, str]:
    """The temperature of a classifier, and what it was fitted on or why it is 1."""
    found = _validation_images(classifier.cfg)
    if isinstance(found, str):
        return 1.0, f'not fitted: {found}'
    dataset: Any = found.dataset
    names = dataset.metainfo.get('classes') or ()
    check_same_classes(classifier.classes, names, 'the validation images')
    embeddings, labels = image_embeddings(classifier.model, found)
    with torch.no_grad():
        logits = classifier.model.head((embeddings,)).cpu()
    temperature = fit_temperature(logits, labels)
    limit = '; it is the limit, and they may be too few' if temperature in LIMITS else ''
    return temperature, f'fitted on {len(labels)} validation images{limit}'


def _validation_images(cfg: Config) -> DataLoader | str:
    """A loader of the config's validation images, or why it cannot be used."""
    sets = {}
    for part in ('val', 'train', 'test'):
        loader = cfg.get(f'{part}_dataloader')
        if loader:
            try:
                with DefaultScope.overwrite_default_scope('mmpretrain'):
                    sets[part] = DATASETS.build(loader.dataset)
            except FileNotFoundError as error:
                return f'the {part} images are not at hand ({error})'
    if 'val' not in sets:
        return 'the config has no validation images'
    paths = {
        part: {os.path.abspath(info['img_path']) for info in iter_infos(dataset)}
        for part, dataset in sets.items()
    }
    for part, name in (('test', 'test'), ('train', 'training')):
        if paths['val'] & paths.get(part, set()):
            return f'the validation images are {name} images'
    loader = cfg.val_dataloader
    return DataLoader(sets['val'], loader.batch_size, num_workers=loader.num_workers)
