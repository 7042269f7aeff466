"""mmpretrain's own train.py and test.py, with this project's checks before the run."""

import importlib.util
import os
import shlex
import subprocess
import sys
import traceback
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import build_functions
from torch import distributed

from .config import add_on, config_folder, load_config, put_on, work_dir_of
from .errors import InputError, MissingInputError
from .runner import CommandRunner, shorten_terminal
from .settings import check_keys, hint_of

# Where a launcher leaves a process's rank, the number of processes and the rank on its machine
_RANKS = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
_START = {
    'pytorch': 'bash tools/dist_train.sh CONFIG GPUS, or torchrun',
    'slurm': 'bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR, or srun',
    'mpi': "Open MPI's mpirun",
}


def run_tool(main: Callable[[], None], kept: str = '') -> None:
    """Run a command: the user's mistakes are one plain message (exit code 2), Ctrl-C another (130).

    A mistake is an InputError, an OSError, an ImportError (of a package that a setting needs), or
    what a config's component raises when it is built.
    ``LMMREG_TRACEBACK=1`` shows where it was found. Configs may inherit from
    ``{{$LMMREG_CONFIGS:configs}}/...``, which is set here.

    Args:
        main: The command.
        kept: What Ctrl-C leaves behind, and how to go on; the interrupt's own text comes first.
    """
    os.environ.setdefault('LMMREG_CONFIGS', str(config_folder()))
    shorten_terminal(MMLogger.get_current_instance())
    try:
        main()
        if distributed.is_available() and distributed.is_initialized():
            distributed.barrier()  # none leaves while another still needs it
            distributed.destroy_process_group()
    except KeyboardInterrupt as stop:
        print(f'\nstopped. {stop}{kept}', file=sys.stderr, flush=True)
        sys.exit(130)
    except Exception as error:
        component = _component_of(error)
        known = isinstance(error, InputError | OSError | ImportError) or component is not None
        if not known or os.environ.get('LMMREG_TRACEBACK') == '1':
            raise
        text = str(error.args[0] if isinstance(error, KeyError) else error)
        print(f'error: {text}{hint_of(text, component)}', file=sys.stderr, flush=True)
        sys.exit(2)


def _component_of(error: Exception) -> object:
    """What a registry was making of a config when it failed, a misspelt option for one, or None.

    mmengine passes on whatever a component raises, so that the kind of error does not tell.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    making = [f for f in frames if f.f_globals.get('__name__') == build_functions.__name__]
    return (making[-1].f_locals.get('obj_cls') or '') if making else None


def train() -> None:
    """mmpretrain's ``tools/train.py``: its options, then this project's checks."""
    _run_upstream('train', training=True)


def test() -> None:
    """mmpretrain's ``tools/test.py``: its options, then this project's checks."""
    _run_upstream('test', training=False)


def _run_upstream(name: str, training: bool) -> None:
    """Run the installed mmpretrain's tool between our checks of arguments and of the config."""
    tool = upstream_tool(name)
    parse_args, merge_args = tool.parse_args, tool.merge_args
    on = _take_on()

    work_dir = None

    def parse_and_check():
        args = parse_args()
        check_arguments(args)
        if on is not None:
            load_config(args.config, on)  # refuses what cannot be put on each other
        return args

    def merge_and_check(cfg, args):
        nonlocal work_dir
        check_keys(cfg, getattr(args, 'cfg_options', None) or ())
        if getattr(args, 'auto_scale_lr', False) and 'auto_scale_lr' not in cfg:
            raise InputError(
                f'--auto-scale-lr: {args.config} does not say for which batch size its learning '
                'rate is meant. Add auto_scale_lr=dict(base_batch_size=64) to it'
            )
        args.work_dir = args.work_dir or work_dir_of(cfg, args.config)
        cfg = merge_args(cfg, args)
        work_dir = cfg.get('work_dir')
        check_amp(cfg, training)
        check_inputs(cfg, training)
        adapt_loaders(cfg)
        adapt_launcher(cfg)
        return cfg

    tool.parse_args, tool.merge_args, tool.Runner = parse_and_check, merge_and_check, CommandRunner
    try:
        with put_on(on):
            tool.main()
    except BaseException as error:
        if not _interrupted(error):
            raise
        raise KeyboardInterrupt(_what_is_kept(work_dir) if training and work_dir else '') from None


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C began it; mmengine makes a SyntaxError of one while it formats a config."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _what_is_kept(work_dir: str) -> str:
    """What a stopped training leaves behind, and the command that goes on."""
    last = Path(work_dir, 'last_checkpoint')
    kept = Path(last.read_text()).stem if last.is_file() else 'no checkpoint yet'
    again = [argument for argument in sys.argv[1:] if argument != '--resume']
    return (
        f'Kept in {work_dir}: {kept}; features computed so far are kept, too. Go on with:\n'
        f'  python {shlex.join([sys.argv[0], *again, "--resume"])}'
    )


def _take_on() -> str | None:
    """Take ``--on`` out of the command line, of which mmpretrain's parser reads the rest."""
    parser = ArgumentParser(
        description='Ctrl-C keeps the last checkpoint and all features; --resume goes on. An '
        "option beside mmpretrain's, which follow:",
        add_help=False,
        allow_abbrev=False,
    )
    add_on(parser)
    if {'-h', '--help'} & set(sys.argv[1:]):
        print(parser.format_help())
    args, sys.argv[1:] = parser.parse_known_args()
    return args.on


def upstream_tool(name: str) -> ModuleType:
    """Import ``tools/<name>.py`` of the installed mmpretrain, from its wheel or its checkout."""
    package = Path(importlib.util.find_spec('mmpretrain').origin).parent
    places = [package / '.mim' / 'tools', package.parent / 'tools']
    for place in places:
        if (place / f'{name}.py').is_file():
            spec = importlib.util.spec_from_file_location(
                f'mmpretrain_tool_{name}', place / f'{name}.py'
            )
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise ImportError(
        f"mmpretrain's tools/{name}.py is neither in {places[0]} nor in {places[1]}: install "
        'mmpretrain from its wheel, not by copying the package folder'
    )


def check_arguments(args) -> None:
    """Refuse file arguments that no run could use, before anything is loaded."""
    checkpoint = getattr(args, 'checkpoint', None) or ''
    if checkpoint.endswith('.py') or args.config.endswith(('.pth', '.pt')):
        raise InputError(
            f'{args.config} is taken for the config and {checkpoint or "nothing"} for the '
            'checkpoint: give the config (.py) first, then the checkpoint (.pth)'
        )
    if not Path(args.config).is_file():
        raise MissingInputError(
            f'config {args.config} is not there; the configs that come along are in '
            f'{config_folder()}'
        )
    for option, value in (
        ('checkpoint', getattr(args, 'checkpoint', None)),
        ('--resume', getattr(args, 'resume', None)),
    ):
        if value and value != 'auto' and '://' not in value and not Path(value).is_file():
            raise MissingInputError(f'{option}: there is no file {value}')
    out = getattr(args, 'out', None)
    if out and args.out_item != 'metrics' and not out.endswith(('.pkl', '.pickle')):
        raise InputError(f'--out {out}: predictions are written as .pkl only, choose such a name')


def check_amp(cfg: Config, training: bool) -> None:
    """Refuse mixed precision where mmengine has none: on a CPU."""
    if training:
        asked = (cfg.get('optim_wrapper') or {}).get('type') == 'AmpOptimWrapper'
    else:
        asked = (cfg.get('test_cfg') or {}).get('fp16', False)
    if asked and get_device() in ('cpu', 'mps'):
        raise InputError(
            'mixed precision (--amp) needs an accelerator, and torch sees none here: leave it out'
        )


def check_inputs(cfg: Config, training: bool) -> None:
    """Report all missing inputs of a run at once, each with the command that makes it."""
    from .checks import missing_inputs

    missing = missing_inputs(cfg, training)
    if len(missing) == 1:
        raise MissingInputError(missing[0])
    if missing:
        lines = [f'  {number}. {text}' for number, text in enumerate(missing, 1)]
        raise MissingInputError(
            f'{len(missing)} inputs are missing; make them in this order:\n' + '\n'.join(lines)
        )


def adapt_loaders(cfg: Config) -> None:
    """Drop the workers' options that mmpretrain's tools add where there are no workers."""
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if loader and loader.get('num_workers', 0) == 0:
            loader.persistent_workers = False


def adapt_launcher(cfg: Config) -> None:
    """Without an accelerator, start the processes' group on gloo, which mmengine cannot."""
    if cfg.launcher == 'none':
        return
    _adopt_ranks(cfg.launcher)
    if get_device() != 'cpu':
        return
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        device_ids=None,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    distributed.init_process_group('gloo')


def _adopt_ranks(launcher: str) -> None:
    """Put what the launcher says into the variables that torch reads."""
    unset = [name for name in _RANKS[launcher] if name not in os.environ]
    if unset:
        raise InputError(
            f'--launcher {launcher}: {", ".join(unset)} is not set, so this process was not '
            f'started by it. Start with {_START[launcher]}, or leave --launcher out'
        )
    for ours, theirs in zip(_RANKS['pytorch'], _RANKS[launcher], strict=True):
        os.environ[ours] = os.environ[theirs]
    os.environ.setdefault('MASTER_PORT', '29500')
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ:
        hosts = ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']]
        os.environ['MASTER_ADDR'] = subprocess.check_output(hosts, text=True).split()[0]
    if 'MASTER_ADDR' not in os.environ:
        raise InputError(f'--launcher {launcher}: set MASTER_ADDR to the name of the first machine')
