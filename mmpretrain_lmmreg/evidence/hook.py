"""The hook that writes down what a run predicted and what made it."""

import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch import nn

from ..cache import digest
from ..errors import InputError
from ..features.samples import iter_infos, leaf_datasets
from .results import Predictions, load_run, save_predictions, save_run

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


@HOOKS.register_module()
class ResultsHook(Hook):
    """Write ``<work_dir>/results/<split>.npz`` and ``run.json`` (formats: ``results.py``).

    In training, the predictions of the last validation are kept, and the accuracy of each; a
    resumed run continues the curve of its folder. Testing adds its split to the folder. Runs
    whose training did not validate at its end are validated once.
    """

    def __init__(self) -> None:
        self.run: dict | None = None
        self.predictions: Predictions | None = None
        self.rows: dict[str, tuple] = {}
        self.validated = False
        self.origin: dict = {}
        self.data: dict = {}

    def before_train(self, runner: Runner) -> None:
        self.run = describe_run(runner.cfg, get_ori_model(runner.model))
        if runner.epoch > 0 and (Path(runner.work_dir) / 'results' / 'run.json').is_file():
            before = load_run(runner.work_dir)['epochs']
            self.run['epochs'] = [e for e in before if e['epoch'] <= runner.epoch]
        if self.run['epochs']:
            self.run['train_seconds'] = self.run['epochs'][-1]['seconds']
        self.save_run(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        self.started = time.perf_counter()

    def after_train_epoch(self, runner: Runner) -> None:
        self.run['train_seconds'] += time.perf_counter() - self.started

    def before_val_epoch(self, runner: Runner) -> None:
        self.rows = {}

    before_test_epoch = before_val_epoch

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        for sample in outputs:
            if 'img_path' not in sample or 'gt_label' not in sample:
                raise InputError(
                    'ResultsHook needs img_path and gt_label of each sample: leave '
                    "PackInputs' meta_keys at their default, or give both"
                )
            if sample.gt_label.numel() != 1:
                raise InputError(
                    'ResultsHook compares single-label classifiers; '
                    f'{sample.img_path} has several labels'
                )
            self.rows[os.path.abspath(sample.img_path)] = (
                int(sample.gt_label),
                sample.pred_score.detach().float().cpu().numpy(),
            )

    after_test_iter = after_val_iter

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        self.collect(runner, runner.val_dataloader, 'val')
        if self.run is not None:
            self.validated = True
            if self.predictions is not None:
                self.run['curve_split'] = self.predictions.split
                self.run['epochs'].append(
                    dict(
                        epoch=runner.epoch,
                        accuracy=float(self.predictions.correct.mean()),
                        seconds=round(self.run['train_seconds'], 3),
                    )
                )
                self.save_run(runner)

    def after_train(self, runner: Runner) -> None:
        if not self.validated and runner.val_loop is not None:
            runner.val_loop.run()
        self.run['finished'] = True
        self.save_split(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        meta = checkpoint.get('meta') or {}
        self.origin = dict(seed=meta.get('seed'), epoch=meta.get('epoch'))

    def after_test_epoch(self, runner: Runner, metrics: Any = None) -> None:
        self.collect(runner, runner.test_dataloader, 'test')
        if (Path(runner.work_dir) / 'results' / 'run.json').is_file():
            self.run = load_run(runner.work_dir)
        else:
            self.run = describe_run(runner.cfg, get_ori_model(runner.model))
            self.run.update(seed=self.origin.get('seed'), train_seconds=None, finished=True)
        self.save_split(runner)

    def collect(self, runner: Runner, loader: Any, mode: str) -> None:
        """Bring the predictions of all processes together; the sampler's padding falls away."""
        parts = all_gather_object(self.rows)
        self.rows = {}
        if is_main_process():
            dataset = data_of(loader)
            rows = {path: row for part in parts for path, row in part.items()}
            split = split_name(runner, dataset, mode)
            infos = list(iter_infos(dataset))
            root = common_root(infos) or common_root([vars(d) for d in leaf_datasets(dataset)])
            self.predictions = join_rows(rows, infos, split, root)
            self.data = dict(
                classes=list(dataset.metainfo.get('classes') or []) or None,
                data_root=root,
            )

    def save_split(self, runner: Runner) -> None:
        """Write the predictions at hand, and the run that they belong to."""
        if self.predictions is not None:
            p = self.predictions
            save_predictions(runner.work_dir, p)
            self.run.update(self.data)
            epoch = runner.epoch if self.validated else self.origin.get('epoch')
            self.run['splits'][p.split] = dict(
                images=len(p.label), accuracy=float(p.correct.mean()), epoch=epoch
            )
            self.run['fingerprints'][p.split] = digest(
                list(zip(p.rel_path.tolist(), p.label.tolist(), strict=True))
            )
        self.save_run(runner)

    def save_run(self, runner: Runner) -> None:
        if is_main_process():
            info = runner.message_hub.runtime_info
            self.run['fingerprints'].update(
                {k: v for k, v in info.items() if k.endswith('fingerprint')}
            )
            save_run(runner.work_dir, self.run)
