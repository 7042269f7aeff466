"""Which training steps mmengine's hooks write down: those that a line of the log is made of."""

import time

from mmengine.hooks import IterTimerHook, LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner

RECORDERS = (IterTimerHook, RuntimeInfoHook)
KNOWN = ('mmengine', 'mmpretrain', 'mmpretrain_lmmreg')  # their hooks read no step's record


class Recording:
    """The steps of an epoch that are recorded, and what the others leave to do.

    Writing down six scalars takes a twentieth of a step on features, and a log line shows the mean
    of the last few steps only. Every step is recorded where a window is an epoch or more, or where
    a hook of a person's own might read the records.

    Args:
        runner: The runner, with all of its hooks.
        steps: Number of steps of the epoch.
    """

    def __init__(self, runner: Runner, steps: int) -> None:
        self.runner, self.steps = runner, steps
        processor = runner.log_processor
        windows = [
            processor.window_size,
            *(setting.get('window_size', 0) for setting in processor.custom_cfg),
        ]
        stages = {'before_train_iter', 'after_train_iter'}
        active = [hook for hook in runner.hooks if stages & set(hook.get_triggered_stages())]
        self.hooks = [hook for hook in active if type(hook) not in RECORDERS]
        self.timers = [hook for hook in active if type(hook) is IterTimerHook]
        known = all(type(hook).__module__.split('.')[0] in KNOWN for hook in active)
        self.all = not known or any(isinstance(window, str) for window in windows)
        self.window = max(window for window in windows if isinstance(window, int))
        self.whole_run = 'global' in windows
        self.interval = min(
            (hook.interval for hook in active if isinstance(hook, LoggerHook)), default=steps
        )

    def includes(self, index: int) -> bool:
        """Whether step ``index``, from 0, is among the last before a line or the epoch's end."""
        step = index + 1
        return self.all or min(-step % self.interval, self.steps - step) < self.window

    def call(self, stage: str, **kwargs) -> None:
        """Call the hooks that record nothing, as ``Runner.call_hook`` calls all."""
        for hook in self.hooks:
            getattr(hook, stage)(self.runner, **kwargs)

    def pass_time(self) -> None:
        """Let the timers count a step that is not recorded."""
        for timer in self.timers:
            now = time.time()
            timer.time_sec_tot += now - timer.t
            timer.t = now
