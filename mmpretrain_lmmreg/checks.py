"""Checks of a whole run: nothing missing, no leak from test, no invalid loss."""

import math
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict
from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, HOOKS
from mmpretrain.utils import get_ori_model

from .errors import InputError
from .features.samples import iter_infos, rel_path

NAMES = 20  # classes that the log names


@HOOKS.register_module()
class RunChecksHook(Hook):
    """Stops a run that would learn from its test images, or whose loss is no longer finite.

    Before training: a sample that is in the train list and in the val or test list is an error,
    and so is choosing a checkpoint (``save_best``) or an epoch (``EarlyStoppingHook``) by images
    of the test list. After an iteration: a loss that is not finite is an error that names the
    files of the batch.
    """

    def before_train(self, runner: Runner) -> None:
        """Raises InputError where test images would reach training or selection."""
        dataset = runner.train_loop.dataloader.dataset
        train = _samples(dataset)
        val = _samples(runner.val_loop.dataloader.dataset) if runner.val_loop else set()
        test = _test_samples(runner)
        for name, other in (('val', val), ('test', test)):
            both = sorted(train & other)
            if both:
                raise InputError(
                    f'{len(both)} samples are both in the train and in the {name} list, the first '
                    f"is '{both[0][1]}'; take them out of one of them"
                )
        choosing = _chooses_by_val(runner)
        if choosing and val & test:
            raise InputError(
                f'{choosing} would choose by test images, because val_dataloader holds samples of '
                'test_dataloader; validate on a part of the training images, or remove it'
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
        print_log(_describe_model(runner), 'current')

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Raises InputError with the batch's file names where the loss is not finite."""
        loss = (outputs or {}).get('loss')
        if loss is None or math.isfinite(loss.item()):
            return
        names = [sample.get('img_path', '?') for sample in data_batch['data_samples']]
        raise InputError(
            f'the loss is {loss.item()} at epoch {runner.epoch + 1}, iteration {runner.iter + 1}; '
            'lower the learning rate or alpha, or look at the images of this batch:\n'
            + '\n'.join(names)
        )


def _describe_model(runner: Runner) -> str:
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
        (str(Path(info.get('data_root', '')).absolute()), rel_path(info))
        for info in iter_infos(dataset)
    }


def _check_width(runner: Runner) -> None:
    backbone = get_ori_model(runner.model).backbone
    found = getattr(backbone, 'embed_dim', None)
    expected = runner.cfg.model.head.get('in_channels', found)
    if found is not None and found != expected:
        raise InputError(
            f"the embeddings of '{backbone.model_name}' have D={found}, the head says "
            f'in_channels={expected}: set model.head.in_channels={found}'
        )


def _test_samples(runner: Runner) -> set[tuple[str, str]]:
    loader = runner.cfg.get('test_dataloader')
    if loader is None:
        return set()
    if loader == runner.cfg.get('val_dataloader'):
        return _samples(runner.val_loop.dataloader.dataset)
    return _samples(DATASETS.build(loader['dataset']))


def _chooses_by_val(runner: Runner) -> str | None:
    for hook in runner.hooks:
        if isinstance(hook, EarlyStoppingHook):
            return 'EarlyStoppingHook'
        if getattr(hook, 'save_best', None):
            return f'save_best={hook.save_best}'
    return None


def missing_inputs(cfg: ConfigDict, training: bool) -> list[str]:
    """What a run of this config needs and does not find, each with what makes it, in order.

    Weights, then images (by building the data sets, which read their lists only), then
    descriptions. A test of a checkpoint needs the test images alone.
    """
    lines = _missing_weights(cfg.model.get('backbone') or {}) if training else []
    for part in ('train', 'val', 'test') if training else ('test',):
        loader = cfg.get(f'{part}_dataloader')
        if loader:
            try:
                with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmpretrain')):
                    DATASETS.build(loader['dataset'])
            except FileNotFoundError as error:
                lines.append(str(error))
    described = _parts_with_texts(cfg) if training else ()
    for part in described:
        loader = cfg.get(f'{part}_dataloader') or {}
        split = ' --split all' if len(described) > 1 else ''
        lines += _missing_descriptions(loader.get('dataset', {}), split)
    return list(dict.fromkeys(lines))


def _parts_with_texts(cfg: ConfigDict) -> tuple[str, ...]:
    head = cfg.model.get('head') or {}
    if head.get('type') == 'ImageTextHead':
        return ('train', 'val')
    if head.get('type') in ('LaBoHead', 'CLIPASelfHead') and not head.get('sentences'):
        return ('train',)
    hook = cfg.get('default_hooks', {}).get('class_means') or {}
    regularised = head.get('type') == 'ClassMeanRegHead' and head.get('alpha', 1) > 0
    from_texts = regularised and hook.get('source', 'descriptions') == 'descriptions'
    return ('train',) if from_texts or head.get('texts') == 'descriptions' else ()


def _missing_weights(backbone: dict) -> list[str]:
    name, weights = backbone.get('model_name', ''), backbone.get('pretrained')
    if name.startswith('local-dir:') and not Path(name.removeprefix('local-dir:')).is_dir():
        return [
            f"the model folder '{name.removeprefix('local-dir:')}' is not there; lite0-minilm "
            'is made by: python tools/build_lite0_minilm.py FOLDER'
        ]
    if weights and Path(weights).suffix and not Path(weights).exists():
        return [
            f"the weights file '{weights}' is not there; give model.backbone.pretrained a file "
            "or an open_clip tag such as 'openai', which is downloaded once"
        ]
    return []


def _missing_descriptions(dataset: dict, split: str) -> list[str]:
    for transform in dataset.get('pipeline', ()):
        if transform['type'] == 'AttachDescriptions':
            root = transform.get('data_root') or dataset.get('data_root')
            path = transform.get('cache') or (root and Path(root) / 'descriptions.jsonl')
            if path and not Path(path).exists():
                return [
                    f"the descriptions '{path}' are not there; make them with: "
                    f'python tools/describe.py CONFIG{split} --describer {{minigpt4,hf,openai}}'
                ]
    return []
