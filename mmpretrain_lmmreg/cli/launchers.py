"""What a launcher and a CPU need of a config, which mmengine leaves."""

import os
import subprocess

from mmengine.config import Config
from mmengine.device import get_device
from torch import distributed

from ..errors import InputError

# Where a launcher leaves a process's rank, the number of processes and the rank on its machine
_RANKS = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
_START = {
    'pytorch': 'bash tools/dist_train.sh CONFIG GPUS, or torchrun',
    'slurm': 'bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR, or srun',
    'mpi': "Open MPI's mpirun, with MASTER_ADDR set to the name of the first machine",
}


def check_amp(cfg: Config, training: bool) -> None:
    """Refuse mixed precision where mmengine has none: on a CPU."""
    if training:
        asked = (cfg.get('optim_wrapper') or {}).get('type') == 'AmpOptimWrapper'
    else:
        asked = (cfg.get('test_cfg') or {}).get('fp16', False)
    if asked and get_device() in ('cpu', 'mps'):
        raise InputError(
            'mixed precision (--amp) needs an accelerator, and torch sees none here: leave it out',
            code='config.no_accelerator',
        )


def adapt_launcher(cfg: Config) -> None:
    """Without an accelerator, start the processes' group on gloo, which mmengine cannot."""
    if cfg.launcher == 'none':
        return
    _adopt_ranks(cfg.launcher)
    if get_device() == 'cpu':
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            device_ids=None,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
        distributed.init_process_group('gloo')


def _adopt_ranks(launcher: str) -> None:
    """Put what the launcher says into the variables that torch reads."""
    if launcher == 'slurm' and 'SLURM_NODELIST' in os.environ and 'MASTER_ADDR' not in os.environ:
        hosts = ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']]
        os.environ['MASTER_ADDR'] = subprocess.check_output(hosts, text=True).split()[0]
    unset = [name for name in (*_RANKS[launcher], 'MASTER_ADDR') if name not in os.environ]
    if unset:
        raise InputError(
            f'--launcher {launcher}: {", ".join(unset)} is not set, so this process was not '
            f'started by it. Start with {_START[launcher]}, or leave --launcher out',
            code='config.launcher',
        )
    for ours, theirs in zip(_RANKS['pytorch'], _RANKS[launcher], strict=True):
        os.environ[ours] = os.environ[theirs]
    os.environ.setdefault('MASTER_PORT', '29500')
