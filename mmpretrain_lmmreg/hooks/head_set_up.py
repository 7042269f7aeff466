"""The hook that hands a head what it needs before training."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from ..errors import InputError, require_one_of
from ..features.dataset import source_of
from ..features.loops import FrozenTrunkTrainLoop
from ..heads.base import SetUpHead
from ..heads.inputs import SOURCES, HeadInputs
from ..text.prompts import TEMPLATES


@HOOKS.register_module()
class ClassMeanHook(Hook):
    """Before training: hand the head what it is made of, class means for one.

    A :class:`SetUpHead` gets :class:`HeadInputs`; other heads are left alone. For the paper's head
    that is descriptions of the training images -> text embeddings -> eq. 1. Descriptions are read
    from the store of the train pipeline's ``AttachDescriptions``; no image is decoded. Each unique
    text is embedded once and kept on disk. With several processes each embeds its share.

    Args:
        model_name: Model whose text tower is used, see :class:`TextTower`; by default the
            backbone's, with the backbone's weights.
        pretrained: The weights of ``model_name``.
        text_context: Tokens that the text tower reads, of which its weights may have fewer, see
            :class:`TextTower`; 248 is Long-CLIP's, whose own files need no setting.
        source: What the means are made of: ``'descriptions'``; ``'class_names'``, a prompt with
            each class's name; ``'auto'``, descriptions if there are any, else class names;
            ``'images'``, the training images' own embeddings.
        templates: Prompts with the class names, each with one ``{}``; by default the config's
            ``templates``, else CLIP's general one.
        shuffled: A control: give each class the texts of the next one, or the mean of its images
            with ``source='images'``. Learned prompts keep their class names.
        cut_names: A control: cut each class's name out of its descriptions, see
            :func:`without_names`. What is read image by image keeps them: captions of CapS-Adapter,
            texts of ImageTextHead and DescribeOnDemandHead.
        match_gap: Move all means by the same vector, so that they lie around the training
            images' mean embedding instead of the texts' (the modality gap of Liang et al.,
            "Mind the Gap", 2022).
    """

    priority = 'NORMAL'  # after RunChecksHook, before what reads or saves the head

    def __init__(
        self,
        model_name: str | None = None,
        pretrained: str | None = None,
        text_context: int | None = None,
        source: str = 'descriptions',
        templates: Sequence[str] | None = None,
        shuffled: bool = False,
        cut_names: bool = False,
        match_gap: bool = False,
    ) -> None:
        require_one_of('source', source, SOURCES)
        self.templates = templates
        self.settings: dict[str, Any] = dict(
            model_name=model_name,
            pretrained=pretrained,
            text_context=text_context,
            source=source,
            shuffled=shuffled,
            cut_names=cut_names,
            match_gap=match_gap,
        )
        self.inputs: HeadInputs | None = None  # until the first epoch
        self.done: set[int] = set()  # ids of the data sets that the head has been set up for

    def before_train(self, runner: Runner) -> None:
        """Set the head up for the training images.

        Raises:
            InputError: Nothing trains; checkpoints between epochs, of a head that has none.
        """
        trains = any(parameter.requires_grad for parameter in runner.model.parameters())
        if not trains and not isinstance(runner.train_loop, FrozenTrunkTrainLoop):
            raise InputError(
                f'nothing of {type(get_ori_model(runner.model).head).__name__} and its backbone '
                'trains: use train_cfg.type=FrozenTrunkTrainLoop, which then makes no step',
                code='hooks.nothing_trains',
            )
        loops = [runner.train_loop]
        head = head_of(runner)
        if head is None:
            return
        by_step = not isinstance(runner.train_loop, EpochBasedTrainLoop) or any(
            isinstance(hook, CheckpointHook) and not hook.by_epoch for hook in runner.hooks
        )
        if by_step and type(head).after_epoch is not SetUpHead.after_epoch:
            raise InputError(
                f'{type(head).__name__} is tested by what it keeps after each epoch, which '
                'checkpoints between epochs would lack: use an EpochBasedTrainLoop or '
                'FrozenTrunkTrainLoop, and default_hooks.checkpoint.by_epoch=True',
                code='config.wrong_setting',
            )
        if head.inputs_at_test and runner.val_loop is not None:
            loops.append(runner.val_loop)  # so that what it lacks is found before training
        trained = runner.epoch + runner.iter > 0
        self.inputs = self.set_up(runner, head, loops, trained)
        if not trained:
            for copy in averaged_heads(runner):  # made before the head was set up
                copy.load_state_dict(head.state_dict())

    def before_train_epoch(self, runner: Runner) -> None:
        """Let the head say what it starts from, now that images have been read."""
        head = head_of(runner)
        if head is not None and self.inputs is not None:
            with torch.no_grad():
                head.describe_start(self.inputs)
            self.inputs = None

    def after_train_epoch(self, runner: Runner) -> None:
        """Let the head keep what testing needs, also of averaged parameters."""
        head = head_of(runner)
        if head is not None:
            head.after_epoch(averaged_heads(runner))

    def before_val(self, runner: Runner) -> None:
        """Set up a head that classifies with texts."""
        self._set_up_for_test(runner, runner.val_loop)

    def before_test(self, runner: Runner) -> None:
        """Set up a head that classifies with texts."""
        self._set_up_for_test(runner, runner.test_loop)

    def _set_up_for_test(self, runner: Runner, loop: BaseLoop) -> None:
        head = head_of(runner)
        if head is not None and head.inputs_at_test:
            self.set_up(runner, head, [loop], trained=True)

    @torch.no_grad()
    def set_up(
        self, runner: Runner, head: SetUpHead, loops: list[BaseLoop], trained: bool
    ) -> HeadInputs | None:
        """Hand the inputs of the loops' images to the head, once."""
        datasets = [id(source_of(loop.dataloader)) for loop in loops]
        if all(dataset in self.done for dataset in datasets):
            return None
        self.done.update(datasets)
        templates = self.templates or runner.cfg.get('templates') or TEMPLATES
        model = get_ori_model(runner.model)
        inputs = HeadInputs(model, loops, templates, trained, **self.settings)
        head.set_up(inputs)
        return inputs


def head_of(runner: Runner) -> SetUpHead | None:
    """The classifier's head, if it is one of ours.

    None of other heads, and of models without a head, such as one for test-time augmentation.
    """
    model = get_ori_model(runner.model)
    return next((child for child in model.children() if isinstance(child, SetUpHead)), None)


def averaged_heads(runner: Runner) -> list[Any]:
    """The heads of the averaged models that EMAHooks keep."""
    return [hook.ema_model.module.head for hook in runner.hooks if isinstance(hook, EMAHook)]
