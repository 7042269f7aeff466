"""The functions of this package in the places of mmengine's, also under upstream's own tools."""

import torch
from mmengine import runner as package
from mmengine.runner import CheckpointLoader, checkpoint, runner

from .files import newest_whole, saver
from .trust import allowed_globals, read_checkpoint, read_url, refuse_scheme

# of mmengine's addresses those that end in its load_url; '' is a file
_BY_URL = {'http://', 'https://', 'modelzoo://', 'torchvision://', 'mmcls://'}


def install() -> None:
    """Let every reader and writer of checkpoints in mmengine use this package's functions."""
    torch.serialization.add_safe_globals(allowed_globals())
    CheckpointLoader.register_scheme('', read_checkpoint, force=True)
    for prefix in set(CheckpointLoader._schemes) - _BY_URL - {''}:
        CheckpointLoader.register_scheme(prefix, refuse_scheme, force=True)
    checkpoint.load_url = read_url
    save = saver(checkpoint.save_checkpoint)
    for module in (package, checkpoint, runner):
        module.save_checkpoint = save
        module.find_latest_checkpoint = newest_whole
