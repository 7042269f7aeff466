"""Training a config from a test."""

import copy
from uuid import uuid4

from mmengine.runner import Runner


def train(cfg, work, **options):
    cfg = copy.deepcopy(cfg)
    # a name of its own, since mmengine's is the second's, and runs of a name share their records
    cfg.merge_from_dict(
        {'work_dir': f'{cfg.work_dir}-{work}', 'experiment_name': uuid4().hex, **options}
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner
