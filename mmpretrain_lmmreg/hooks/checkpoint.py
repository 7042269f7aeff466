"""The hook that saves checkpoints so that one whole file is there at every moment."""

import re
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ..checkpoints.files import DIGEST, remove, remove_unfinished, write_last

OUTDATED = 'outdated_checkpoint'  # in the message hub: what goes once this one is written


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, which deletes the old one after the new one is written.

    First the new checkpoint under its name, then ``last_checkpoint``, then the old one goes; of the
    best ones likewise. What a killed run left half done is removed by the next start.
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
        self._remove_replaced()
        resumed = self._path(runner.epoch if self.by_epoch else runner.iter)
        if resumed.is_file():  # a run that was killed before may not have named it
            write_last(runner.work_dir, str(resumed))

    def _path(self, step: int) -> Path:
        return Path(self.out_dir, self.filename_tmpl.format(step))

    def _best(self) -> dict[str, str | None]:
        """Paths of the best checkpoints by what each is best in."""
        if not self.save_best:
            return {}
        if len(self.key_indicators) == 1:
            return {self.key_indicators[0]: self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best(self, paths: dict[str, str | None]) -> None:
        if len(paths) == 1:
            (self.best_ckpt_path,) = paths.values()
        elif paths:
            self.best_ckpt_path_dict = paths

    def _remove_replaced(self) -> None:
        """Delete best checkpoints beside those that a resumed run knows: a kill left them."""
        prefix, _, suffix = self.filename_tmpl.partition('{}')
        for key, best in self._best().items():
            start = re.escape(f'best_{key}_'.replace('/', '_') + prefix)
            name = re.compile(rf'{start}\d+{re.escape(suffix)}')
            kept = Path(best or '').name
            for path in Path(self.out_dir).iterdir() if kept else ():
                checkpoint = path.with_name(path.name.removesuffix(DIGEST))  # it may be left alone
                if name.fullmatch(checkpoint.name) and checkpoint.name != kept:
                    remove(checkpoint)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """As mmengine's, which would delete the old best one before the new one is there."""
        old = self._best()
        self._set_best(dict.fromkeys(old))
        super()._save_best_checkpoint(runner, metrics)
        new = {key: path or old.get(key) for key, path in self._best().items()}
        self._set_best(new)
        for path in old.values() if is_main_process() else ():
            if path and path not in new.values():
                remove(Path(self.out_dir, Path(path).name))  # the folder may have been moved

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
