"""The hook that saves checkpoints so that one whole file is there at every moment."""

import re
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ..io.checkpoints import LAST
from ..io.files import UNFINISHED, save_atomic
from ..io.trusted import read_checkpoint

OUTDATED = 'outdated_checkpoints'  # in the message hub: names of what goes after the next is there


class _DeletesLater(LocalBackend):
    """The local disk, on which nothing is deleted yet: the names of what is to go are kept."""

    def __init__(self, hook: 'AtomicCheckpointHook', runner: Runner) -> None:
        self.hook, self.runner, self.outdated = hook, runner, list[str]()

    def isfile(self, filepath: str | Path) -> bool:
        return self.hook.own_file(Path(filepath).name).is_file()

    def remove(self, filepath: str | Path) -> None:
        self.outdated.append(Path(filepath).name)
        self.runner.message_hub.update_info(OUTDATED, list(self.outdated))

    def delete(self) -> None:
        """Delete what is outdated by now."""
        for name in self.outdated:
            self.hook.own_file(name).unlink(missing_ok=True)
        self.outdated.clear()


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, which deletes an old checkpoint after the new one is whole.

    mmengine deletes the oldest, or the best one so far, before it writes: a run that is killed
    between the two has none. What a killed run left is removed when it goes on.
    Arguments are those of ``CheckpointHook``. Only files of its folder and naming are deleted.

    Example:
        >>> default_hooks = dict(checkpoint=dict(
        ...     type='AtomicCheckpointHook', interval=10, max_keep_ckpts=2))
    """

    file_backend: _DeletesLater

    def before_train(self, runner: Runner) -> None:
        """Find the folder, and remove what a killed run left there."""
        super().before_train(runner)
        self.file_backend = _DeletesLater(self, runner)
        if not is_main_process() or not Path(self.out_dir).is_dir():
            return
        for path in Path(self.out_dir).glob(f'.*{UNFINISHED}'):
            if self._is_ours(path.name[1:].removesuffix(UNFINISHED)):
                path.unlink()
        for name in runner.message_hub.runtime_info.get(OUTDATED) or ():
            if self._is_ours(name):
                self.own_file(name).unlink(missing_ok=True)
        step = runner.epoch if self.by_epoch else runner.iter
        resumed = self.own_file(self.filename_tmpl.format(step))
        if resumed.is_file():  # a run that was killed before may not have named it
            with save_atomic(Path(runner.work_dir, LAST)) as file:
                file.write(str(resumed).encode())

    def own_file(self, name: str) -> Path:
        """A file of the run's folder, which may have been moved since its path was kept."""
        return Path(self.out_dir, name)

    def _is_ours(self, name: str) -> bool:
        prefix, _, suffix = self.filename_tmpl.partition('{}')
        return bool(re.fullmatch(rf'(best_.+_)?{re.escape(prefix)}\d+{re.escape(suffix)}', name))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        super()._save_checkpoint_with_step(runner, step, meta)
        self.file_backend.delete()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        super()._save_best_checkpoint(runner, metrics)
        self.file_backend.delete()

    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        read_checkpoint(ckpt_path)  # mmengine would run what it holds
        super()._publish_model(runner, ckpt_path)


@HOOKS.register_module()
class WholeCheckpointHook(AtomicCheckpointHook):
    """The name of :class:`AtomicCheckpointHook` in version 0.1; it goes with version 0.3."""

    def before_run(self, runner: Runner) -> None:
        """Say the new name."""
        print_log('WholeCheckpointHook is called AtomicCheckpointHook now', 'current', level=30)
