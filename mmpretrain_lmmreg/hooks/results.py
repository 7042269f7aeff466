"""The hook that writes down what a run predicted and what made it."""

import logging
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from ..clip import OpenCLIPVisual
from ..datasets.samples import iter_infos
from ..errors import InputError
from ..features.dataset import source_of
from .head_set_up import head_of
from .record import (
    count_trained,
    data_record,
    data_root_of,
    join_rows,
    new_record,
    reads_descriptions,
    split_name,
    training_accuracy,
    weights_record,
)
from .run_folder import Predictions, belongs, fingerprint, load_run, save_predictions, save_run

SECONDS = 'train_seconds'  # in the message hub, and so in each checkpoint


@HOOKS.register_module()
class ResultsHook(Hook):
    """Write ``<work_dir>/results/<split>.npz`` and ``run.json`` (formats: ``results.py``).

    In training, the predictions of the last validation are kept, and the accuracy of each; a
    resumed run continues the curve of its folder. Testing adds its split to the folder, with the
    epoch and the checkpoint; results of the run's last epoch are never replaced by those of
    another epoch, run or data set, which are kept as ``<split>@<checkpoint>``. Runs whose training
    did not validate at its end are validated once.
    """

    priority = 'BELOW_NORMAL'  # after heads are set up, before checkpoints are saved

    def __init__(self) -> None:
        self.run: dict[str, Any] = {}
        self.predictions: Predictions | None = None
        self.rows: dict[str, tuple] = {}
        self.validated = False
        self.origin: dict = {}
        self.data: dict = {}

    def before_train(self, runner: Runner) -> None:
        """Begin the record, or go on with that of a resumed run."""
        self.run = new_record(runner.cfg, get_ori_model(runner.model))
        self.run['experiment'] = runner.experiment_name
        if runner.epoch > 0 and (Path(runner.work_dir) / 'results' / 'run.json').is_file():
            before = load_run(runner.work_dir)
            self.run['epochs'] = [e for e in before['epochs'] if e['epoch'] <= runner.epoch]
            self.run['start'] = before.get('start')
        if runner.epoch > 0:  # the message hub is the checkpoint's
            self.run['train_seconds'] = runner.message_hub.runtime_info.get(SECONDS, 0.0)
        if is_main_process():
            data = data_record(source_of(runner.train_loop.dataloader))
            texts = {key: data.pop(key, None) for key in ('descriptions', 'described')}
            if reads_descriptions(runner.cfg, get_ori_model(runner.model).head):
                found = texts['described'] and texts['described']['described']
                self.run.update(texts, texts='descriptions' if found else 'class names')
            else:
                data.pop('descriptions_fingerprint', None)
            self.run['fingerprints'].update(data)
            backbone = get_ori_model(runner.model).backbone
            if runner.epoch == 0 and isinstance(backbone, OpenCLIPVisual):
                runner.message_hub.update_info('start_fingerprint', backbone.start_fingerprint())
        self.saved = False

    def before_train_epoch(self, runner: Runner) -> None:
        """Write the record once nothing refuses the run any more."""
        if not self.saved:
            head = head_of(runner)
            self.run['start'] = (head and head.start) or self.run['start']
            self.save_run(runner)
            self.saved = True
            self.complete_curve(runner)
        self.started = time.perf_counter()

    def after_train_epoch(self, runner: Runner) -> None:
        """Add up the seconds of training."""
        self.run['train_seconds'] += time.perf_counter() - self.started
        runner.message_hub.update_info(SECONDS, self.run['train_seconds'])

    def complete_curve(self, runner: Runner) -> None:
        """Validate a resumed run that was killed between a checkpoint and that epoch's accuracy.

        Or, where the best checkpoint is kept, before it was known whether that is the best one.
        """
        loop, epoch = runner.train_loop, runner.epoch
        if not isinstance(loop, EpochBasedTrainLoop) or runner.val_loop is None or epoch == 0:
            return
        due = epoch >= loop.val_begin and epoch % loop.val_interval == 0
        chooses = any(isinstance(h, CheckpointHook) and h.save_best for h in runner.hooks)
        if due and (chooses or epoch not in [entry['epoch'] for entry in self.run['epochs']]):
            runner.val_loop.run()

    def before_val_epoch(self, runner: Runner) -> None:
        """Forget the predictions of the last evaluation."""
        self.rows = {}

    before_test_epoch = before_val_epoch

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keep label and probabilities of each sample of a batch."""
        for sample in outputs:
            path, label = sample.get('img_path'), sample.get('gt_label')
            if path is None or label is None or label.numel() != 1:
                raise InputError(
                    f'ResultsHook needs img_path and one gt_label of each sample ({path}): leave '
                    "PackInputs' meta_keys at their default, or take ResultsHook out",
                    code='hooks.unusable_sample',
                )
        scores = torch.stack([sample.pred_score for sample in outputs]).detach().float().cpu()
        finite = scores.isfinite().all(1).tolist()
        for sample, row, good in zip(outputs, scores.numpy(), finite, strict=True):
            if not good:
                raise InputError(
                    f'the scores of {sample.img_path} are not finite: the images of its batch or '
                    f'the weights of {runner.cfg.get("load_from") or runner.work_dir} are damaged',
                    code='hooks.scores_not_finite',
                )
            self.rows[os.path.abspath(sample.img_path)] = int(sample.gt_label), row

    after_test_iter = after_val_iter

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Put the accuracy on the curve."""
        self.collect(runner, runner.val_dataloader, 'val')
        if self.run:
            self.validated = True
            if self.predictions is not None:
                self.run['curve_split'] = self.predictions.split
                entry = dict(
                    epoch=runner.epoch,
                    accuracy=float(self.predictions.correct.mean()),
                    seconds=round(self.run['train_seconds'], 3),
                )
                earlier = [e for e in self.run['epochs'] if e['epoch'] < runner.epoch]
                self.run['epochs'] = [*earlier, entry]
                self.save_run(runner)

    def after_train(self, runner: Runner) -> None:
        """Write the predictions of the last validation, and that the run is finished."""
        if not self.validated and runner.val_loop is not None:
            runner.val_loop.run()
        # again, since a head may make its parameters of the training features
        self.run['trained_parameters'] = count_trained(get_ori_model(runner.model))
        self.run['train_accuracy'] = training_accuracy(runner)
        self.run['fingerprints'].update(weights_record(runner))
        self.run['finished'] = True
        self.save_split(runner, runner.epoch)
        if self.predictions is not None:
            p, folder = self.predictions, Path(runner.work_dir)
            info = runner.message_hub.runtime_info
            best = [path for key, path in info.items() if key.startswith('best_ckpt')]
            say_accuracy(
                p,
                self.run,
                f'after epoch {runner.epoch}: {folder / "results" / f"{p.split}.npz"}; '
                f'checkpoints are in {folder}'
                + ''.join(f', the best one is {path}' for path in best),
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember which run and epoch a tested checkpoint is of."""
        meta = checkpoint.get('meta') or {}
        self.origin = dict(
            seed=meta.get('seed'),
            epoch=meta.get('epoch'),
            experiment=meta.get('experiment_name'),
            checkpoint=runner.cfg.get('load_from'),
        )

    def after_test_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Write the predictions of a test."""
        self.collect(runner, runner.test_dataloader, 'test')
        origin = self.origin
        if self.run:  # trained in this process
            origin = dict(epoch=runner.epoch, experiment=runner.experiment_name)
        if (Path(runner.work_dir) / 'results' / 'run.json').is_file():
            self.run = load_run(runner.work_dir)
        else:
            self.run = new_record(runner.cfg, get_ori_model(runner.model))
            self.run.update(seed=origin.get('seed'), train_seconds=None, finished=True)
            self.run['experiment'] = origin.get('experiment')
        if self.predictions is not None and not belongs(self.predictions, self.run, origin):
            name = (
                f'{self.predictions.split}@{Path(origin.get("checkpoint") or "no-checkpoint").stem}'
            )
            print_log(
                f"these are not results of this folder's run at its last epoch, which are left as "
                f'they are; they are kept as results/{name}.npz',
                'current',
            )
            self.predictions = replace(self.predictions, split=name)
        self.save_split(runner, origin.get('epoch'), origin.get('checkpoint'))
        if self.predictions is not None:
            p = self.predictions
            say_accuracy(p, self.run, f': {Path(runner.work_dir, "results", f"{p.split}.npz")}')

    def collect(self, runner: Runner, loader: Any, mode: str) -> None:
        """Bring the predictions of all processes together; the sampler's padding falls away."""
        parts = all_gather_object(self.rows)
        self.rows = {}
        if is_main_process():
            dataset = source_of(loader)
            rows = {path: row for part in parts for path, row in part.items()}
            split = split_name(runner, dataset, mode)
            infos = list(iter_infos(dataset))
            root = data_root_of(dataset, infos)
            self.predictions = join_rows(rows, infos, split, root)
            self.data = dict(
                classes=list(dataset.metainfo.get('classes') or []) or None,
                data_root=root,
            )

    def save_split(self, runner: Runner, epoch: int | None, checkpoint: str | None = None) -> None:
        """Write the predictions at hand, and the run that they belong to."""
        if self.predictions is not None:
            p = self.predictions
            save_predictions(runner.work_dir, p)
            self.run.update(self.data)
            self.run['splits'][p.split] = dict(
                images=len(p.label),
                accuracy=float(p.correct.mean()),
                epoch=epoch,
                checkpoint=checkpoint,
            )
            self.run['fingerprints'][f'{p.split}_fingerprint'] = fingerprint(p)
        self.save_run(runner)

    def save_run(self, runner: Runner) -> None:
        """Write ``run.json``, in the main process."""
        if is_main_process():
            info = runner.message_hub.runtime_info
            self.run['fingerprints'].update(
                {k: v for k, v in info.items() if k.endswith('fingerprint')}
            )
            save_run(runner.work_dir, self.run)


def say_accuracy(predictions: Predictions, run: dict, where: str) -> None:
    """Log a split's accuracy beside chance (the most frequent class) and training accuracy."""
    chance = np.bincount(predictions.label).max() / len(predictions.label)
    accuracy, trained = predictions.correct.mean(), run.get('train_accuracy')
    beside = f'chance {100 * chance:.2f} %'
    if trained is not None:
        beside += f', training {100 * trained:.2f} %'
    text = f'{predictions.split} accuracy {100 * accuracy:.2f} % ({beside}) {where}'
    print_log(text.replace(') :', '):'), 'current')
    if accuracy < chance:
        print_log(
            f'{predictions.split} accuracy is below chance: always naming the most frequent class '
            f'is right for {100 * chance:.2f} %. Look at the labels, the class names and the '
            'learning rate',
            'current',
            logging.WARNING,
        )
