"""The hook that saves checkpoints so that one whole file is there at every moment."""

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from .files import remove, remove_unfinished, write_last

OUTDATED = 'outdated_checkpoint'  # in the message hub: what goes once this one is written


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, which deletes the old one after the new one is written.

    First the new checkpoint under its name, then ``last_checkpoint``, then the old one goes. What
    a killed run left half done is removed by the next start.
    """

    def before_train(self, runner: Runner) -> None:
        """Find the folder, and remove what a killed run left."""
        super().before_train(runner)
        if not is_main_process() or not Path(self.out_dir).is_dir():
            return
        prefix, _, suffix = self.filename_tmpl.partition('{}')
        remove_unfinished(
            Path(self.out_dir), lambda name: name.startswith(prefix) and name.endswith(suffix)
        )
        if runner.message_hub.runtime_info.get(OUTDATED) is not None:
            remove(self._path(runner.message_hub.get_info(OUTDATED)))
        resumed = self._path(runner.epoch if self.by_epoch else runner.iter)
        if resumed.is_file():  # a run that was killed before may not have named it
            write_last(runner.work_dir, str(resumed))

    def _path(self, step: int) -> Path:
        return Path(self.out_dir, self.filename_tmpl.format(step))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated = None
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self.keep_ckpt_ids.popleft()
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        runner.message_hub.update_info(OUTDATED, outdated)
        self.last_ckpt = str(self._path(step))
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            self._path(step).name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            write_last(runner.work_dir, self.last_ckpt)
            if outdated is not None:
                remove(self._path(outdated))
