"""mmpretrain's own train.py and test.py: its options, then this project's checks, then the run."""

import logging
import os
import shlex
import sys
from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager, nullcontext
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import mmengine
import mmpretrain
from mmengine.config import Config, DictAction
from mmengine.evaluator import DumpResults
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from ..config import (
    check_braces,
    check_files,
    config_folder,
    is_on_the_demo,
    load_config,
    work_dir_of,
)
from ..errors import InputError, MissingInputError
from ..hooks.run_folder import load_predictions, load_run
from ..io.lock import locked
from ..io.printing import plain
from ..runner import LMMRegRunner
from . import test as test_command
from . import train as train_command
from .inputs import check_inputs
from .launchers import adapt_launcher, check_amp
from .linter import check_settings
from .runner import CommandRunner

PARSERS = {'train': train_command.parser, 'test': test_command.parser}
NEEDED = {
    'train': ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'),
    'test': ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'),
}


def train() -> None:
    """mmpretrain's ``tools/train.py`` with ``--on`` and this project's checks."""
    work_dir = None
    try:
        cfg, _ = read_command('train')
        work_dir = cfg.work_dir
        with lock_of(work_dir):
            build_runner(cfg).train()
        _say_next(work_dir, None, 'predict')
    except BaseException as error:
        if not _interrupted(error):
            raise
        raise KeyboardInterrupt(_what_is_kept(work_dir) if work_dir else '') from None


def test() -> None:
    """mmpretrain's ``tools/test.py`` with ``--on`` and this project's checks."""
    cfg, args = read_command('test')
    runner = build_runner(cfg)
    if args.out and args.out_item != 'metrics':
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    metrics = runner.test()
    if args.out and args.out_item == 'metrics':
        mmengine.dump(metrics, args.out)
    _say_next(cfg.work_dir, args.checkpoint, 'export')


def _say_next(work_dir: str, checkpoint: str | None, name: str) -> None:
    """Print the command that follows a training or a test, if it left results.

    Args:
        work_dir: The run's work folder.
        checkpoint: The tested checkpoint; by default the best or the last one of the folder.
        name: ``'predict'`` (an image of the test split) or ``'export'``.
    """
    folder = Path(work_dir)
    last = folder / 'last_checkpoint'
    configs = sorted(folder.glob('*.py'), key=lambda path: path.stat().st_mtime)
    if checkpoint is None and last.is_file():
        best = sorted(folder.glob('best_*.pth'))
        checkpoint = str(best[-1] if best else folder / Path(last.read_text()).name)
    if not (_is_first() and checkpoint and configs and (folder / 'results/run.json').is_file()):
        return
    argument = str(folder / 'exported') if name == 'export' else _tested_image(folder)
    words = shlex.join([str(configs[-1]), checkpoint, argument])
    print(plain(f'next: {_command(name)} {words}'), flush=True)


def _tested_image(folder: Path) -> str:
    run = load_run(folder)
    splits = [split for split in run['splits'] if '@' not in split]
    if not splits or not run.get('data_root'):
        return 'IMAGE'
    return os.path.join(run['data_root'], load_predictions(folder, splits[0]).rel_path[0])


def _command(name: str) -> str:
    """How a command is called in the way that this process was."""
    script = Path(sys.argv[0])
    if script.suffix == '.py':
        return shlex.join(['python', str(script.with_name(f'{name}.py'))])
    return f'{sys.argv[0].rpartition(" ")[0]} {name}'


def lock_of(work_dir: str) -> AbstractContextManager[None]:
    """The work folder's lock, held by the first of a launcher's processes."""
    if not _is_first():
        return nullcontext()
    return locked(Path(work_dir, '.lock'), 'or take another --work-dir')


def _is_first() -> bool:
    """Whether this is the first of a launcher's processes, or the only one."""
    return int(os.environ.get('RANK') or 0) == 0


def build_runner(cfg: Config) -> Runner:
    """The runner of a config, which may name one of its own by ``runner_type``."""
    kind = cfg.get('runner_type', LMMRegRunner)
    kind = RUNNERS.get(kind) if isinstance(kind, str) else kind
    if kind is LMMRegRunner:
        return CommandRunner.from_cfg(cfg)
    runner = RUNNERS.build(cfg)
    if not isinstance(runner, LMMRegRunner):
        print_log(
            f'runner_type={cfg.runner_type} stands for mmpretrain.LMMRegRunner: a checkpoint may '
            'now run code, need not fit the model, and may be half-written by a killed run. Let '
            'the runner inherit from mmpretrain_lmmreg.runner.LMMRegRunner to keep this',
            'current',
            logging.WARNING,
        )
    return runner


def read_command(name: str) -> tuple[Config, Namespace]:
    """The config of a command line of mmpretrain's tool, checked, and its arguments.

    Raises:
        InputError: arguments, settings or inputs that no run could use.
    """
    args = PARSERS[name]().parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    _check_arguments(args)
    args.cfg_options = settings_of(args.cfg_options)
    cfg = load_config(args.config, args.on)
    if is_on_the_demo(cfg, args.config) and _is_first():
        print(f'no --on CONFIG: {args.config} is put on the demo', file=sys.stderr)
    given = tuple(args.cfg_options or ())
    own = set(cfg)
    needed = [*NEEDED[name], *['auto_scale_lr'] * getattr(args, 'auto_scale_lr', False)]
    lacking = [key for key in needed if cfg.get(key) is None]
    if lacking:
        raise InputError(
            f'{args.config} has no {", ".join(lacking)}: let it inherit from one of '
            f'{config_folder()}/lmmreg_*.py',
            code='config.incomplete',
        )
    args.work_dir = args.work_dir or work_dir_of(cfg, args.config)
    cfg = upstream_tool(name).merge_args(cfg, args)
    check_braces(cfg)
    if any(key.partition('.')[0] == 'custom_imports' for key in given):
        _import_custom(cfg.custom_imports)
    check_settings(cfg, given, own)
    check_amp(cfg, training=name == 'train')
    check_inputs(cfg, training=name == 'train')
    adapt_launcher(cfg)
    return cfg, args


def _check_arguments(args: Namespace) -> None:
    """Refuse file arguments that no run could use, before anything is loaded."""
    check_files(args.config, getattr(args, 'checkpoint', None))
    resume = getattr(args, 'resume', None)
    if resume and resume != 'auto' and '://' not in resume and not Path(resume).is_file():
        raise MissingInputError(f'--resume: there is no file {resume}', code='config.no_checkpoint')
    out, item = getattr(args, 'out', None), getattr(args, 'out_item', None)
    if out and item != 'metrics' and not out.endswith(('.pkl', '.pickle')):
        raise InputError(
            f'--out {out}: predictions are written as .pkl only, choose such a name',
            code='config.bad_option',
        )


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C began it; mmengine makes a SyntaxError of one while it formats a config."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _what_is_kept(work_dir: str) -> str:
    """What a stopped training leaves behind, and the command that goes on."""
    last = Path(work_dir, 'last_checkpoint')
    kept = Path(last.read_text()).stem if last.is_file() else 'no checkpoint yet'
    again = sys.argv[1:]
    if last.is_file() or '--resume' not in again:
        resume = '--resume', PARSERS['train']().parse_args().resume
        again = [*(argument for argument in again if argument not in resume), '--resume']
    return (
        f'Kept in {work_dir}: {kept}; features computed so far are kept, too. Go on with:\n'
        f'  {_command("train")} {shlex.join(again)}'
    )


def settings_of(given: list[str] | None) -> dict | None:
    """``KEY=VALUE``... of ``--cfg-options``, read as mmengine reads them.

    Raises:
        InputError: a value has brackets that do not match.
    """
    if not given:
        return None
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    try:
        return parser.parse_args(['--cfg-options', *given]).cfg_options
    except AssertionError as error:
        raise InputError(f'--cfg-options: {error}', code='config.bad_option') from error


def _import_custom(imports: object) -> None:
    """Import what ``--cfg-options custom_imports...`` names, as mmengine does for a file's."""
    try:
        import_modules_from_strings(**imports)  # type: ignore[arg-type]
    except TypeError as error:
        raise InputError(
            f'--cfg-options custom_imports: {error}; give custom_imports.imports=MODULE',
            code='config.bad_option',
        ) from error


def upstream_tool(name: str) -> ModuleType:
    """Import ``tools/<name>.py`` of the installed mmpretrain, in its wheel or its checkout.

    Raises:
        ImportError: it is in neither.
    """
    package = Path(mmpretrain.__file__).parent
    places = [place / 'tools' / f'{name}.py' for place in (package / '.mim', package.parent)]
    for place in places:
        if place.is_file():
            loader = SourceFileLoader(f'mmpretrain_tool_{name}', str(place))
            module = ModuleType(loader.name)
            module.__file__ = loader.path
            loader.exec_module(module)
            return module
    raise ImportError(
        f'{places[0]} and {places[1]} are missing: install mmpretrain from its wheel, not by '
        'copying the package folder'
    )
