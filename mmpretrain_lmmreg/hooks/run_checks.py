"""Checks of a whole run: nothing missing, no leak from test, no invalid loss."""

import logging
import math
import os
from pathlib import Path
from typing import Any

from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import DATASETS, HOOKS
from mmpretrain.utils import get_ori_model

from ..datasets.names import check_same_classes
from ..datasets.samples import iter_infos, leads_out, same_files
from ..descriptions.samples import image_name
from ..errors import InputError
from ..features.dataset import source_of

NAMES = 20  # classes that the log names


@HOOKS.register_module()
class RunChecksHook(Hook):
    """Stops a run that would learn from its test images, or whose loss is no longer finite.

    Before training: a sample that is in the train list and in the val or test list is an error,
    and so is choosing a checkpoint (``save_best``) or an epoch (``EarlyStoppingHook``) by images
    of the test list. After an iteration: a loss that is not finite is an error that names the
    files of the batch. A checkpoint that is tested or resumed must have the data's classes in their
    order.
    """

    priority = 'ABOVE_NORMAL'  # before heads are set up

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Raises InputError where a tested or resumed checkpoint orders the classes otherwise."""
        meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
        for loop in (runner._train_loop if runner._resume else None, runner._test_loop):
            if isinstance(loop, BaseLoop):
                classes = source_of(loop.dataloader).metainfo.get('classes')
                what = str(runner.cfg.get('load_from') or runner.work_dir)
                warning = check_same_classes(meta.get('classes') or (), classes or (), what)
                if warning:
                    print_log(warning, 'current', level=logging.WARNING)

    def before_train(self, runner: Runner) -> None:
        """Raises InputError where test images would reach training or selection."""
        dataset = source_of(runner.train_loop.dataloader)
        train = _samples(dataset)
        val = _samples(source_of(runner.val_loop.dataloader)) if runner.val_loop else set()
        test = _test_samples(runner)
        for name, other in (('val', val), ('test', test)):
            both = sorted(train & other)
            if both:
                raise InputError(
                    f'{len(both)} samples are both in the train and in the {name} list, the first '
                    f"is '{both[0][1]}'; take them out of one of them",
                    code='hooks.images_in_two_splits',
                )
        choosing = _chooses_by_val(runner)
        if choosing and val & test:
            raise InputError(
                f'{choosing} would select on test images, because val_dataloader holds samples of '
                'test_dataloader; validate on a part of the training images, or remove it',
                code='hooks.choice_by_test',
            )
        _check_width(runner)
        classes = dataset.metainfo.get('classes') or ()
        names = ', '.join(classes[:NAMES]) + ', ...' * (len(classes) > NAMES)
        print_log(
            f'{len(train)} training, {len(val)} validation and {len(test)} test images'
            + ' (the validation images are test images)' * bool(val & test)
            + f'; {len(classes)} classes: {names}',
            'current',
        )
        print_log(_model_line(runner), 'current')
        twice = same_files(*([os.path.join(*s) for s in part] for part in (train, val | test)))
        if twice:
            print_log(
                f'{len(twice)} images are in training and in test or validation under two names, '
                f'the first is {twice[0][0]}, which is {twice[0][1]}: accuracies are too high; '
                'remove one of each',
                'current',
                logging.WARNING,
            )
        outside = leads_out(iter_infos(dataset))
        if outside:
            print_log(
                f'{len(outside)} training images are links out of the data root, the first is '
                f'{outside[0][0]}, which is {outside[0][1]}',
                'current',
                logging.WARNING,
            )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Raises InputError where the loss is not finite, with the files of the batch."""
        loss = (outputs or {}).get('loss')
        if loss is None or math.isfinite(loss.item()):
            return
        samples = (data_batch or {}).get('data_samples', ())
        names = [sample.get('img_path', '?') for sample in samples]
        raise InputError(
            f'the loss is {loss.item()} at epoch {runner.epoch + 1}, iteration {runner.iter + 1}; '
            'lower the learning rate or alpha, or look at the images of this batch:\n'
            + '\n'.join(names),
            code='hooks.loss_not_finite',
        )


def _model_line(runner: Runner) -> str:
    """What is trained, and where to."""
    model = get_ori_model(runner.model)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    name = getattr(model.backbone, 'model_name', type(model.backbone).__name__)
    weights = getattr(model.backbone, 'pretrained', None)
    return (
        f'{runner.cfg.get("method", "")}: {type(model.head).__name__} on {name} '
        f'({f"weights {weights}" if weights else "its own weights"}), {trained:,} trained '
        f'parameters; into {runner.work_dir}'
    )


def _samples(dataset: Any) -> set[tuple[str, str]]:
    return {
        (str(Path(info.get('data_root', '')).absolute()), image_name(info))
        for info in iter_infos(dataset)
    }


def _check_width(runner: Runner) -> None:
    model = get_ori_model(runner.model)
    backbone = model.backbone
    found = None if model.with_neck else getattr(backbone, 'out_dim', None)
    expected = runner.cfg.model.head.get('in_channels') or found
    if found is not None and found != expected:
        raise InputError(
            f"the embeddings of '{backbone.model_name}' have D={found}, the head has "
            f'in_channels={expected}: set model.head.in_channels={found}',
            code='hooks.other_width',
        )


def _test_samples(runner: Runner) -> set[tuple[str, str]]:
    loader = runner.cfg.get('test_dataloader')
    if loader is None:
        return set()
    if loader == runner.cfg.get('val_dataloader'):
        return _samples(source_of(runner.val_loop.dataloader))
    return _samples(DATASETS.build(loader['dataset']))


def _chooses_by_val(runner: Runner) -> str | None:
    for hook in runner.hooks:
        if isinstance(hook, EarlyStoppingHook):
            return 'EarlyStoppingHook'
        if getattr(hook, 'save_best', None):
            return f'save_best={hook.save_best}'
    return None
