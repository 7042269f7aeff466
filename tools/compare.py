"""Compare runs: ``python tools/compare.py WORK_DIR... --baseline NAME --out DIR``."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg.cache import atomic_write  # noqa: E402
from mmpretrain_lmmreg.errors import InputError  # noqa: E402
from mmpretrain_lmmreg.launch import run_tool  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Table, curves and report page of runs that were tested on the same images.'
    )
    parser.add_argument(
        'work_dirs', nargs='+', metavar='WORK_DIR', help="a run's work folder, or a sweep's folder"
    )
    parser.add_argument('--baseline', required=True, help='the method that others are compared to')
    parser.add_argument('--out', required=True, type=Path, help='folder to write')
    parser.add_argument('--split', default='test', help='the tested split (default: test)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        from mmpretrain_lmmreg.evidence import compare, figures, report, tables
    except ModuleNotFoundError as error:
        raise InputError(
            f'{error.name} is not installed: pip install "mmpretrain_lmmreg[evidence]"'
        ) from error
    methods = compare.load_methods(args.work_dirs, args.split)
    comparison = compare.compare(methods, args.baseline)
    curves = figures.curves(methods)
    contents = {
        'table.md': tables.markdown(comparison).encode(),
        'table.csv': tables.comma_separated(comparison).encode(),
        'table.json': json.dumps(comparison, indent=1, ensure_ascii=False).encode(),
        'curves.png': figures.image(curves, 'png'),
        'curves.svg': figures.image(curves, 'svg'),
        'report.html': report.render(comparison, methods).encode(),
    }
    for name, content in contents.items():
        with atomic_write(args.out / name) as file:
            file.write(content)
    print(tables.short(comparison))
    print(f'{args.out / "table.md"} has all columns, {args.out / "report.html"} figures and images')


if __name__ == '__main__':
    run_tool(main)
