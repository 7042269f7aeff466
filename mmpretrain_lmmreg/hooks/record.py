"""What a run was made from, and its predictions in the data set's order."""

import math
import os
import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.dist import all_gather_object
from mmengine.hooks import EMAHook
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner
from mmpretrain.utils import get_ori_model
from torch import nn
from torch.utils.data import DataLoader

from ..clip import OpenCLIPVisual
from ..compat import installed_version
from ..datasets.samples import iter_infos, leaf_datasets
from ..descriptions import AttachDescriptions
from ..descriptions.attach import texts_of
from ..descriptions.samples import image_name, rel_path_of
from ..descriptions.store import DescriptionStore
from ..errors import InputError
from ..features.dataset import FeatureLoader, features_as_inputs, source_of
from ..features.keys import feature_cache_key
from ..features.loops import FrozenTrunkTrainLoop, use_all_features
from ..heads.base import SetUpHead
from ..io.files import digest
from .run_folder import Predictions

PACKAGES = (
    'mmpretrain-lmmreg',
    'torch',
    'numpy',
    'mmengine',
    'onedl-mmengine',
    'mmpretrain',
    'onedl-mmpretrain',
    'open_clip_torch',
)
# Rooms that change no result of a run
BESIDE_TRAINING = ('cli', 'demo', 'deploy', 'describe', 'evidence', 'fitting')


def new_record(cfg: Config, model: nn.Module) -> dict:
    """What made a run, as far as its config and model say; the contents of ``run.json``.

    ``method`` and ``protocol`` are the config's variables of that name; a config without
    ``method`` is called by its file name.
    """
    return dict(
        method=cfg.get('method') or Path(cfg.filename or 'unnamed').stem,
        protocol=cfg.get('protocol', ''),
        seed=cfg.get('randomness', {}).get('seed'),
        trained_parameters=count_trained(model),
        versions=dict(python=platform.python_version())
        | {name: version for name in PACKAGES if (version := installed_version(name))},
        code=code_version(),
        settings=flat_settings(cfg.to_dict()),
        start=None,  # figures of a head that starts from texts and images
        texts=None,  # 'descriptions' or 'class names', of a method that reads descriptions
        descriptions=None,
        described=None,  # how many training images are
        classes=None,
        data_root=None,
        fingerprints={},
        splits={},
        curve_split=None,
        epochs=[],
        train_seconds=0.0,
        finished=False,
    )


def flat_settings(content: Any, name: str = '') -> dict[str, Any]:
    """All settings of a config: JSON-able values by dotted names, such as ``model.head.alpha``."""
    if isinstance(content, dict | list | tuple) and content:
        items = content.items() if isinstance(content, dict) else enumerate(content)
        parts = (
            flat_settings(value, f'{name}.{key}' if name else str(key)) for key, value in items
        )
        return {key: value for part in parts for key, value in part.items()}
    if isinstance(content, float) and not math.isfinite(content):
        return {name: str(content)}  # which JSON cannot hold
    plain = content is None or isinstance(content, bool | int | float | str)
    return {name: content if plain else str(content)}


@cache
def code_version() -> str:
    """Name of the package's code that changes results: 16 hex digits over its files."""
    package = Path(__file__).resolve().parents[1]
    files = sorted(p.relative_to(package) for p in package.rglob('*.py'))
    return digest(
        {
            path.as_posix(): (package / path).read_text('utf-8')
            for path in files
            if path.parts[0] not in BESIDE_TRAINING
        }
    )


def reads_descriptions(cfg: Config, head: Any) -> bool:
    """Whether training reads descriptions, if there are any; the head knows."""
    if not isinstance(head, SetUpHead):
        return False
    means = dict(cfg.get('default_hooks', {}).get('class_means') or {})
    if means.get('source') == 'auto':
        means['source'] = 'descriptions'
    return 'train' in head.described_splits(cfg.model.get('head') or {}, means)


def data_record(dataset: Any) -> dict:
    """Fingerprints of a training set's names and labels, and of the descriptions beside it.

    Returns:
        ``train_fingerprint``, and where the pipeline attaches descriptions ``descriptions`` (the
        path, also of a file that is not there), and of a file that is there
        ``descriptions_fingerprint`` and ``described``, see :func:`count_described`.
    """
    infos = list(iter_infos(dataset))
    root = data_root_of(dataset, infos) or '/'
    names = [image_name(info, root) for info in infos]
    labels = [np.asarray(info.get('gt_label', -1)).tolist() for info in infos]
    result: dict[str, Any] = dict(train_fingerprint=digest(list(zip(names, labels, strict=True))))
    for leaf in leaf_datasets(dataset):
        for transform in leaf.pipeline.transforms:
            if isinstance(transform, AttachDescriptions):
                path = transform.path_for(infos[0])
                result['descriptions'] = os.path.abspath(path)
                if path.is_file():
                    store = DescriptionStore(path)
                    result['descriptions_fingerprint'] = store.fingerprint
                    names = [rel_path_of(info, transform.data_root) for info in infos]
                    result['described'] = count_described(
                        store, names, labels, transform.named, transform.prompts
                    )
                return result
    return result


def count_described(
    store: DescriptionStore,
    names: list[str],
    labels: list,
    named: bool = False,
    prompts: Sequence[str] | None = None,
) -> dict:
    """How many training images have descriptions, and which.

    Returns:
        ``images`` and ``described`` (counts), ``per_class`` (described ones by label, in the
        order of the labels), ``fingerprint`` of the described images' names.
    """
    counts = {str(label): 0 for label in sorted(labels)}
    described = []
    for name, label in zip(names, labels, strict=True):
        if texts_of(store, name, named, prompts):
            described.append(name)
            counts[str(label)] += 1
    return dict(
        images=len(names),
        described=len(described),
        per_class=counts,
        fingerprint=digest(sorted(described)),
    )


def weights_record(runner: Runner) -> dict:
    """``weights_fingerprint`` of a frozen trunk, and ``features_fingerprint`` of its table."""
    model = get_ori_model(runner.model)
    result, loop = {}, runner.train_loop
    if isinstance(model.backbone, OpenCLIPVisual) and model.backbone.trunk_is_frozen:
        result['weights_fingerprint'] = digest(model.backbone.trunk_fingerprint()['weights'])
    if isinstance(loop, FrozenTrunkTrainLoop):
        # not what the loader holds: a run that was resumed at its end has read no features
        result['features_fingerprint'] = digest(
            feature_cache_key(model, source_of(loop.dataloader))
        )
    return result


def training_accuracy(runner: Runner) -> float | None:
    """Share of the training images that the trained model classifies right; averaged weights'.

    Of the feature table's first view, or of images as the training pipeline gives them. None where
    they have no labels, which some methods do not need.
    """
    loop, model = runner.train_loop, runner.model
    frozen = isinstance(loop, FrozenTrunkTrainLoop)
    if frozen:
        use_all_features(loop)  # a run that was resumed at its end has read none
        loop.dataloader.dataset.view = 0
    dataset = loop.dataloader.dataset
    loader = (FeatureLoader if frozen else DataLoader)(
        dataset,
        batch_size=loop.dataloader.batch_size or 64,
        sampler=DefaultSampler(dataset, shuffle=False, round_up=False),
        collate_fn=loop.dataloader.collate_fn,
    )
    averages = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    for hook in averages:
        hook.before_val_epoch(runner)
    right = total = 0
    model.eval()
    with torch.no_grad(), features_as_inputs(model, frozen):
        for batch in loader:
            for sample in model.val_step(batch):
                if 'gt_label' not in sample:
                    continue
                right += int(sample.pred_label == sample.gt_label)
                total += 1
    for hook in averages:
        hook.after_val_epoch(runner)
    counts = all_gather_object((right, total))
    right, total = (sum(numbers) for numbers in zip(*counts, strict=True))
    return right / total if total else None


def count_trained(model: nn.Module) -> int:
    """Number of parameters that training changes by a gradient."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def split_name(runner: Runner, dataset: Any, mode: str) -> str:
    """Name of an evaluated split: the data set's own, or 'test' where the config's test data are.

    Args:
        mode: 'val' or 'test', the loop that ran; the name where nothing else tells.
    """
    suffix = '_tta' if isinstance(get_ori_model(runner.model), BaseTTAModel) else ''
    name = getattr(dataset, 'split', None)
    if not isinstance(name, str) or not name:
        val, test = (runner.cfg.get(f'{part}_dataloader') or {} for part in ('val', 'test'))
        name = 'test' if val.get('dataset') == test.get('dataset') else mode
    return name + suffix


def data_root_of(dataset: Any, infos: list[dict]) -> str | None:
    """The absolute data root of all samples; None where they have none or several."""
    for roots in (
        {info.get('data_root') for info in infos},
        {getattr(leaf, 'data_root', None) for leaf in leaf_datasets(dataset)},
    ):
        if len(roots) == 1 and (root := roots.pop()):
            return os.path.abspath(root)
    return None


def join_rows(
    rows: dict[str, tuple], infos: list[dict], split: str, data_root: str | None = None
) -> Predictions:
    """Predictions in the data set's order.

    Args:
        rows: absolute image path -> (label, probabilities).
        infos: The data set's samples, each image once.
        data_root: Names samples that have no ``rel_path``.

    Raises:
        InputError: an image of the data set was not predicted.
    """
    paths = [os.path.abspath(info['img_path']) for info in infos]
    missing = [path for path in paths if path not in rows]
    if missing:
        raise InputError(
            f'{len(missing)} images of the {split} split were not predicted, '
            f'{missing[0]} among them; ResultsHook needs the whole split',
            code='hooks.images_not_predicted',
        )
    names = [image_name(info, data_root or '/') for info in infos]
    return Predictions(
        rel_path=np.array(names),
        label=np.array([rows[path][0] for path in paths], dtype=np.int64),
        group=np.array(
            [str(info.get('group') or name) for info, name in zip(infos, names, strict=True)]
        ),
        probs=np.stack([rows[path][1] for path in paths]).astype(np.float32, copy=False),
        split=split,
    )
