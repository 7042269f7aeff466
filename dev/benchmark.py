"""Speed figures: ``dev/benchmark.py {trunk,text,train,run,memory,scale,all} --json FILE``."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from dev.benchmarks.machine import describe_machine, not_judged
from dev.benchmarks.measure import Row, markdown
from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.io.files import save_atomic

PARTS = ('trunk', 'text', 'train', 'run', 'memory', 'scale')
ENDINGS = ('.jpg', '.jpeg', '.png')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Each figure beside its rival or limit, measured in turns. The weights are '
        'random. Timings are judged where their targets are meant; the exit code is 1 where a '
        'result is wrong, and only there.'
    )
    parser.add_argument('part', choices=(*PARTS, 'all'))
    parser.add_argument('--json', type=Path, help='file to write the figures to')
    parser.add_argument(
        '--images',
        type=Path,
        help="folder of images for the trunk (default: BAR's training images where $BAR_ROOT "
        "has them, else the demo's)",
    )
    parser.add_argument('--model', default='ViT-L-14-quickgelu', help="open_clip's name of a ViT")
    parser.add_argument('--epochs', type=int, default=100, help='of train and run (default: 100)')
    parser.add_argument(
        '--run-config',
        type=Path,
        help='config of the whole run (default: BAR with lite0-minilm where $BAR_ROOT '
        'has it, else the demo)',
    )
    return parser.parse_args()


def pictures(folder: Path | None) -> list[Path]:
    """Image files for the trunk, at least 32."""
    if folder is None:
        from mmpretrain_lmmreg.demo.render import demo_folder

        bar = Path(os.environ.get('BAR_ROOT', '')) / 'train'
        folder = bar if bar.is_dir() else demo_folder()
    found = sorted(p for p in folder.rglob('*') if p.suffix.lower() in ENDINGS)
    if len(found) < 32:
        raise InputError(f'--images {folder}: {len(found)} images, at least 32 are needed')
    return found


def check_needs(args: argparse.Namespace) -> None:
    """Refuse, before anything is measured, what some part would fail for; all in one message.

    Raises:
        InputError: missing images, model, config, its inputs, or a place for the figures.
    """
    wanted = PARTS if args.part == 'all' else (args.part,)
    checks: dict[str, Callable[[], object]] = {}
    if 'trunk' in wanted:
        checks['trunk'] = lambda: pictures(args.images)
    if {'trunk', 'text'} & set(wanted):
        checks['model'] = lambda: check_model(args.model)
    if 'run' in wanted:
        checks['run'] = lambda: check_run(args.run_config)
    if args.json:
        checks['json'] = lambda: check_writable(args.json)
    problems = []
    for check in checks.values():
        try:
            check()
        except InputError as error:
            problems.append(str(error))
    if args.epochs < 1:
        problems.append(f'--epochs {args.epochs} must be at least 1')
    if {'memory', 'scale'} & set(wanted) and not Path('/proc/self/status').is_file():
        problems.append('memory and scale need Linux, whose /proc/self/status has their figures')
    if problems:
        raise InputError('\n'.join(problems))


def check_model(name: str) -> None:
    """Raise InputError where open_clip has no such model."""
    import open_clip

    folder = Path(name.removeprefix('local-dir:'), 'open_clip_config.json')
    known = folder.is_file() if name.startswith('local-dir:') else name in open_clip.list_models()
    if not known:
        raise InputError(f'--model {name}: open_clip has no such model')


def check_run(config: Path | None) -> None:
    """Raise InputError where the whole run's config or what it needs is not there."""
    from mmengine.config import Config

    from dev.benchmarks.run import default_config
    from mmpretrain_lmmreg.cli.inputs import check_inputs
    from mmpretrain_lmmreg.config import check_files

    config = config or default_config()
    check_files(str(config))
    try:
        check_inputs(Config.fromfile(config), training=True)
    except InputError as error:
        raise InputError(f'--run-config {config}: {error}') from error


def check_writable(path: Path) -> None:
    """Raise InputError where a file cannot be written."""
    if path.is_dir():
        raise InputError(f'--json {path}: this is a folder, give a file')
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f'--json {path}: {folder} cannot be written to')


def measure(args: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """The rows of the parts that were asked for, as they come."""
    from dev.benchmarks import decode, memory, run, scale, text, train, trunk

    wanted = PARTS if args.part == 'all' else (args.part,)
    if 'trunk' in wanted:
        yield from trunk.trunk_rows(folder / 'trunk', pictures(args.images), args.model)
        yield decode.decode_row(folder / 'decode')
    if 'text' in wanted:
        yield text.text_row(args.model, text.bar_descriptions())
    if 'train' in wanted:
        yield train.train_row(folder / 'train', args.epochs)
    if 'run' in wanted:
        yield run.run_row(folder / 'run', args.run_config, args.epochs)
    if 'memory' in wanted:
        yield memory.memory_row(folder / 'memory')
    if 'scale' in wanted:
        yield from scale.scale_rows(folder / 'scale')


def main() -> None:
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ['LMMREG_CACHE'] = f'{folder}/cache'
        check_needs(args)
        machine = describe_machine()
        print(f'measured on: {json.dumps(machine)}', file=sys.stderr, flush=True)
        rows: list[Row] = []
        for row in measure(args, Path(folder)):
            rows.append(replace(row, not_judged=not_judged(row.name, machine)))
            print(f'{row.name}: {row.ratio:.3g} ({rows[-1].goal})', file=sys.stderr, flush=True)
            if args.json:  # after each, since all of them take long
                with save_atomic(args.json) as file:
                    file.write(json.dumps([r.as_json(machine) for r in rows], indent=1).encode())
    print(markdown(rows))
    if not all(holds for row in rows for holds in row.correct.values()):
        sys.exit(1)


if __name__ == '__main__':
    run_tool(main)
