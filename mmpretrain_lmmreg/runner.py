"""The runner of this package's configs: it reads checkpoints as data and writes them whole."""

import logging
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from mmpretrain.registry import RUNNERS

from .errors import InputError
from .io.checkpoints import newest_whole, take_weights
from .io.files import save_atomic
from .io.trusted import read_checkpoint


@RUNNERS.register_module()
class LMMRegRunner(Runner):
    """mmengine's ``Runner`` for the configs of this package.

    - Nothing in a checkpoint is run, be it tested, resumed or given as ``load_from``.
    - A checkpoint must fit the model in every weight. ``load_partly=True`` in the config lets
      training start from the weights of ``load_from`` that fit.
    - A checkpoint appears whole or not at all; ``resume=True`` takes the newest whole one.
    - Training of no steps is an error.
    - Schedules by epochs stretch with the run. They are written for ``schedule_epochs`` of the
      config, or else for ``train_cfg.max_epochs``, which ``train_cfg.min_iters`` may raise.
    - Loaders without workers need no ``persistent_workers=False``.

    Arguments are those of ``Runner``.

    Example:
        >>> runner_type = 'mmpretrain.LMMRegRunner'  # in a config
    """

    _experiment_name: str

    @classmethod
    def from_cfg(cls, cfg: Any) -> 'LMMRegRunner':
        """Build a runner from a config."""
        return super().from_cfg(_FormattedOnce.of(cfg) if isinstance(cfg, Config) else cfg)

    @staticmethod
    def build_dataloader(dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        """Build a loader; where it has no workers, mmpretrain's train.py asks that they persist."""
        if isinstance(dataloader, dict) and not dataloader.get('num_workers'):
            dataloader = {**dataloader, 'persistent_workers': False}
        return Runner.build_dataloader(dataloader, *args, **kwargs)

    def build_train_loop(self, loop: Any) -> BaseLoop:
        """Build the loop.

        Raises:
            InputError: It has no steps.
        """
        loop = super().build_train_loop(loop)
        if any(parameter.requires_grad for parameter in self.model.parameters()):
            _check_steps(loop)
        return loop

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Build the schedules, as long as the run; see mmengine's."""
        by_epoch = isinstance(self._train_loop, EpochBasedTrainLoop)
        if by_epoch and all(isinstance(s, dict) for s in scheduler):  # not built yet
            scheduler = as_long_as_the_run(scheduler, self.cfg, self.max_epochs)
        return super().build_param_scheduler(scheduler)

    def _schedule_ends(self) -> list[int]:
        each = self.param_schedulers
        return [s.end for s in each] if isinstance(each, list) else []

    def load_or_resume(self) -> None:
        """Load or resume the checkpoint that the config names, or resume the newest whole one.

        Raises:
            InputError: See :meth:`load_checkpoint` and :meth:`resume`.
        """
        if self._has_loaded:
            return
        if self._resume:
            filename = self._load_from or newest_whole(self.work_dir)
            if filename is not None:
                self.resume(filename)
        elif self._load_from is not None:
            trains = isinstance(self._train_loop, BaseLoop)
            partly = trains and self.cfg.get('load_partly', False)
            self.load_checkpoint(self._load_from, strict=not partly)

    def load_checkpoint(
        self,
        filename: str,
        map_location: Any = 'cpu',
        strict: bool = True,
        revise_keys: Any = ((r'^module\.', ''),),
    ) -> dict[str, Any]:
        """Load a checkpoint's weights; the arguments are those of mmengine's.

        Raises:
            InputError: It is no checkpoint that may be read; or with ``strict``, it does not fit
                the model in every weight.
        """
        checkpoint = read_checkpoint(filename, map_location)
        for pattern, new in revise_keys:
            checkpoint['state_dict'] = {
                re.sub(pattern, new, name): value
                for name, value in checkpoint['state_dict'].items()
            }
        model = self.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        take_weights(model, checkpoint['state_dict'], str(filename), partly=not strict)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        # a hook may have changed the weights, as EMAHook does when it resumes
        take_weights(model, checkpoint['state_dict'], str(filename), partly=not strict)
        self._has_loaded = True
        if self._resume:  # the same run goes on, and its checkpoints keep their run's name
            self._experiment_name = checkpoint['meta'].get('experiment_name', self._experiment_name)
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Go on from a checkpoint; see mmengine's.

        Raises:
            InputError: See :meth:`load_checkpoint`; or it does not hold what training goes on from.
        """
        ends = self._schedule_ends()
        try:
            super().resume(filename, *args, **kwargs)
        except InputError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(
                f'--resume: {filename} lacks the state that training continues from '
                f'({type(error).__name__}: {error}); give a checkpoint of a run with this config, '
                'or start from its weights by load_from',
                code='runner.cannot_resume',
            ) from error
        shorter = [now for now, end in zip(self._schedule_ends(), ends, strict=True) if now < end]
        if shorter:
            print_log(
                f'--resume: the schedule of the checkpoint ends after {max(shorter)} epochs or '
                'steps, before this run does; what follows trains at the learning rate that it '
                'ends with. For a longer schedule, train from the start',
                'current',
                level=logging.WARNING,
            )

    @master_only
    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """Save a checkpoint, on a local disk so that it is whole or absent; see mmengine's.

        Raises:
            InputError: The disk is full or not writable.
        """
        if '://' in str(out_dir):
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        path = Path(out_dir, filename)
        try:
            with save_atomic(path) as file:
                super().save_checkpoint(out_dir, Path(file.name).name, *args, **kwargs)
        except OSError as error:
            raise InputError(
                f'the checkpoint {path} cannot be written ({error.strerror}); what was written '
                'before it is kept. Correct this, then continue with --resume',
                code='runner.checkpoint_not_written',
            ) from error


def as_long_as_the_run(schedules: list[dict], cfg: Any, epochs: int) -> list[dict]:
    """A config's schedules, stretched from the epochs that they are written for to the run's."""
    written = cfg.get('schedule_epochs')
    if written is None or written not in [s.get('end') for s in schedules]:  # a child's own
        written = cfg.train_cfg.max_epochs
    return [stretched(schedule, epochs / written) for schedule in schedules]


def stretched(schedule: dict, factor: float) -> dict:
    """A schedule of ``factor`` times as many epochs; one by steps stays as it is.

    Args:
        schedule: Of the config's ``param_scheduler``.
        factor: Epochs of the run by those that the schedule is written for.

    Example:
        >>> stretched(dict(type='CosineAnnealingLR', begin=1, end=50, T_max=50), 4)
        {'type': 'CosineAnnealingLR', 'begin': 4, 'end': 200, 'T_max': 200}
    """
    if factor == 1 or not schedule.get('by_epoch', True):
        return schedule
    longer = dict(schedule)
    for key in ('begin', 'end', 'T_max', 'step_size'):
        if longer.get(key):
            longer[key] = round(schedule[key] * factor)
    if 'milestones' in longer:
        longer['milestones'] = [round(epoch * factor) for epoch in schedule['milestones']]
    for key in ('T_max', 'step_size'):
        if key in longer:
            longer[key] = max(longer[key], 1)
    if 'end' in longer:  # a warm-up ends one epoch before its end
        least = min(2, schedule['end'] - schedule.get('begin', 0))
        longer['end'] = max(longer['end'], longer.get('begin', 0) + least)
    return longer


def _check_steps(loop: Any) -> None:
    """Raise InputError where a training loop has no steps."""
    batches, images = len(loop.dataloader), len(loop.dataloader.dataset)
    if batches == 0 or loop.max_iters < 1:
        raise InputError(
            f'nothing would be trained: {images} images give {batches} batches, and train_cfg asks '
            f'for {loop.max_iters} steps. Set train_dataloader.drop_last=False, or a batch_size of '
            f'at most {images}, and train_cfg.max_epochs (or max_iters) to 1 or more',
            code='runner.no_steps',
        )


class _FormattedOnce(Config):
    """A config whose text, which mmengine formats for every checkpoint in 0.2 s, is kept."""

    @classmethod
    def of(cls, cfg: Config) -> '_FormattedOnce':
        """The same config."""
        other = cls.__new__(cls)
        other.__dict__.update(cfg.__dict__)
        return other

    @property
    def pretty_text(self) -> str:
        """The config as Python, formatted anew where it has changed."""
        now = repr(self._cfg_dict)
        before, text = self.__dict__.get('formatted', ('', ''))
        if before != now:
            text = super().pretty_text
            self.__dict__['formatted'] = now, text
        return text
