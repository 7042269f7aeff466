"""Compare runs: ``mmpretrain-lmmreg compare WORK_DIR... --baseline NAME --out DIR``."""

import argparse
from pathlib import Path

from ..errors import InputError
from ..io.printing import plain, plain_json


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        description='Table, curves and report page of runs that were tested on the same images.'
    )
    p.add_argument(
        'work_dirs', nargs='+', metavar='WORK_DIR', help="a run's work folder, or a sweep's folder"
    )
    p.add_argument(
        '--baseline',
        default='finetune',
        metavar='NAME',
        help='the method that others are compared with (default: %(default)s)',
    )
    p.add_argument('--out', required=True, type=Path, metavar='DIR', help='folder to write')
    p.add_argument('--split', default='test', help='the tested split (default: %(default)s)')
    return p


def main() -> None:
    """Write the comparison of the runs that the command line names."""
    args = parser().parse_args()
    from ..io.files import save_atomic

    try:
        from ..evidence import comparison, figures, report, runs, tables
    except ModuleNotFoundError as error:
        raise InputError(
            f'{error.name} is not installed: pip install "mmpretrain_lmmreg[evidence]"',
            code='evidence.package_missing',
        ) from error
    methods = runs.load_methods(args.work_dirs, args.split)
    found = comparison.comparison_of(methods, args.baseline)
    curves = figures.curves(methods)
    contents = {
        'table.md': plain(tables.markdown(found)).encode(),
        'table.csv': plain(tables.comma_separated(found)).encode(),
        'table.json': plain_json(found, 1).encode(),
        'curves.png': figures.image(curves, 'png'),
        'curves.svg': figures.image(curves, 'svg'),
        'report.html': plain(report.render(found, methods)).encode(),
    }
    for name, content in contents.items():
        with save_atomic(args.out / name) as file:
            file.write(content)
    print(plain(tables.short(found)))
    print(f'All columns: {args.out / "table.md"}. Next: open {args.out / "report.html"}.')
