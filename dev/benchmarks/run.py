"""A whole run from files on disk beside the same config with mmengine's plain loops."""

import os
import time
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmpretrain_lmmreg.clip.backbone import OpenCLIPVisual
from mmpretrain_lmmreg.config import config_folder
from mmpretrain_lmmreg.hooks.run_folder import load_run

from .measure import Row

PLAIN = {'train_cfg.type': 'EpochBasedTrainLoop', 'val_cfg.type': 'ValLoop'}


class EpochClock(Hook):
    """Seconds of an epoch and the validation after it, without what comes before."""

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner: Runner) -> None:
        self.started = time.perf_counter()

    def after_val(self, runner: Runner) -> None:
        self.seconds = time.perf_counter() - self.started


def run_row(folder: Path, config: Path | None = None, epochs: int = 100) -> Row:
    """``run_vs_plain``: BAR with lite0-minilm where BAR is there, else the demo."""
    config = config or default_config()
    os.environ['LMMREG_CACHE'] = str(folder / 'cache')
    started = time.perf_counter()
    ours, touched, _ = _train(config, folder / 'ours', epochs)
    seconds = time.perf_counter() - started
    plain, _, clock = _train(config, folder / 'plain', 1, PLAIN)
    _, touched_again, _ = _train(config, folder / 'again', 1)
    first, other = (run['epochs'][0]['accuracy'] for run in (ours, plain))
    return Row(
        'run_vs_plain',
        f'{config.stem}, whole run of {epochs} epochs, s, beside {epochs} times one of the plain '
        'loops',
        seconds,
        clock.seconds * epochs,
        clock.seconds * epochs / seconds,
        40,
        {
            f'same accuracy after an epoch ({first:.4f}, {other:.4f})': first == other,
            'a second run leaves the trunk alone': touched > 0 and touched_again == 0,
        },
    )


def default_config() -> Path:
    """BAR with lite0-minilm where it is there, else the demo."""
    there = (Path(os.environ.get('BAR_ROOT', '')) / 'train').is_dir()
    return config_folder() / ('lmmreg_bar_lite0.py' if there else 'lmmreg_demo.py')


def _train(
    config: Path, work_dir: Path, epochs: int, options: dict | None = None
) -> tuple[dict, int, EpochClock]:
    """Train; the run's record, how often the trunk ran, and the last epoch's clock."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'train_cfg.max_epochs': epochs,
            'log_level': 'WARNING',
            'default_hooks.checkpoint.interval': epochs,
            **(options or {}),
        }
    )
    count, clock, trunk = 0, EpochClock(), OpenCLIPVisual.forward_trunk

    def counting(self, images):
        nonlocal count
        count += 1
        return trunk(self, images)

    OpenCLIPVisual.forward_trunk = counting
    try:
        runner = Runner.from_cfg(cfg)
        runner.register_hook(clock)
        runner.train()
    finally:
        OpenCLIPVisual.forward_trunk = trunk
    return load_run(work_dir), count, clock
