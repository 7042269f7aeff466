"""What a run was made from, and its predictions in the data set's order."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner
from mmpretrain.utils import get_ori_model
from torch import nn

from ..errors import InputError
from .results import Predictions

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


def describe_run(cfg: Config, model: nn.Module) -> dict:
    """What made a run, as far as its config and model say; the contents of ``run.json``.

    ``method`` and ``protocol`` are the config's variables of that name; a config without
    ``method`` is called by its file name.
    """
    head = cfg.get('model', {}).get('head') or {}
    return dict(
        method=cfg.get('method') or Path(cfg.filename or 'unnamed').stem,
        protocol=cfg.get('protocol', ''),
        seed=cfg.get('randomness', {}).get('seed'),
        alpha=head.get('alpha'),
        trained_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        versions=dict(python=platform.python_version(), **installed_versions()),
        config=cfg.pretty_text,
        descriptions=descriptions_file(cfg),
        classes=None,
        data_root=None,
        fingerprints={},
        splits={},
        curve_split=None,
        epochs=[],
        train_seconds=0.0,
        finished=False,
    )


def descriptions_file(cfg: Config) -> str | None:
    """The descriptions file that a train pipeline names; None for the one in the data root."""
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    for transform in dataset.get('pipeline') or ():
        if transform['type'] == 'AttachDescriptions' and transform.get('cache'):
            return os.path.abspath(transform['cache'])
    return None


def installed_versions() -> dict[str, str]:
    """Versions of the installed ones among the packages that can change a result."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def data_of(loader: Any) -> Any:
    """The data set of images behind a data loader, which may load the features of its images."""
    return getattr(loader.dataset, 'source', loader.dataset)


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


def common_root(infos: list[dict]) -> str | None:
    """The absolute data root of all samples; None where they have none or several."""
    roots = {info.get('data_root') for info in infos}
    root = roots.pop() if len(roots) == 1 else None
    return os.path.abspath(root) if root else None


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
            f'{missing[0]} among them; ResultsHook needs the whole split'
        )
    names = [
        info.get('rel_path') or Path(os.path.relpath(path, data_root or '/')).as_posix()
        for info, path in zip(infos, paths, strict=True)
    ]
    return Predictions(
        rel_path=np.array(names),
        label=np.array([rows[path][0] for path in paths], dtype=np.int64),
        group=np.array(
            [str(info.get('group') or name) for info, name in zip(infos, names, strict=True)]
        ),
        probs=np.stack([rows[path][1] for path in paths]).astype(np.float32),
        split=split,
    )
