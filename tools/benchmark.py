"""Speed figures: ``python tools/benchmark.py {trunk,text,train,run,memory,all} --json FILE``."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from benchmarks.measure import Row, markdown
from mmpretrain_lmmreg.cache import atomic_write
from mmpretrain_lmmreg.cli import run_tool
from mmpretrain_lmmreg.errors import InputError

PARTS = ('trunk', 'text', 'train', 'run', 'memory')
ENDINGS = ('.jpg', '.jpeg', '.png')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Each figure beside its rival or limit, measured in turns. The weights are '
        'random. Timings are reported; a wrong result ends with exit code 1.'
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
        help='config of the whole run (default: BAR with lite0-minilm where $BAR_ROOT and '
        '$LITE0_ROOT have them, else the demo)',
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


def measure(args: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """The rows of the parts that were asked for, as they come."""
    from benchmarks import memory, run, text, train, trunk

    wanted = PARTS if args.part == 'all' else (args.part,)
    if 'trunk' in wanted:
        yield from trunk.trunk_rows(folder / 'trunk', pictures(args.images), args.model)
    if 'text' in wanted:
        yield text.text_row(args.model, text.bar_descriptions())
    if 'train' in wanted:
        yield train.train_row(folder / 'train', args.epochs)
    if 'run' in wanted:
        yield run.run_row(folder / 'run', args.run_config, args.epochs)
    if 'memory' in wanted:
        yield memory.memory_row(folder / 'memory')


def main() -> None:
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ['LMMREG_CACHE'] = f'{folder}/cache'
        rows = []
        for row in measure(args, Path(folder)):
            rows.append(row)
            print(f'{row.name}: {row.ratio:.3g} ({row.goal})', file=sys.stderr, flush=True)
    print(markdown(rows))
    if args.json:
        with atomic_write(args.json) as file:
            file.write(json.dumps([asdict(row) for row in rows], indent=1).encode())
    if not all(holds for row in rows for holds in row.correct.values()):
        sys.exit(1)


if __name__ == '__main__':
    run_tool(main)
