"""Compare runs that were tested on the same images: a table, curves and a report page."""

from argparse import ArgumentParser
from pathlib import Path

from ..errors import InputError
from ..io.printing import plain, plain_json
from .options import command_parser


def parser() -> ArgumentParser:
    """The command's options."""
    p = command_parser(
        __doc__, 'mmpretrain-lmmreg compare work_dirs/sweep --out work_dirs/comparison'
    )
    runs = "a run's work folder or a sweep's folder"
    p.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help=runs)
    p.add_argument('--out', required=True, type=Path, metavar='DIR', help='folder to write')
    baseline = 'method that the others are compared with (%(default)s)'
    p.add_argument('--baseline', default='finetune', metavar='NAME', help=baseline)
    p.add_argument('--split', default='test', metavar='NAME', help='tested split (%(default)s)')
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
