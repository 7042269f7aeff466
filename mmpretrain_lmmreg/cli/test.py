"""Test a model, with mmpretrain's own options."""

from argparse import ArgumentParser

from .options import add_upstream_options


def parser() -> ArgumentParser:
    """The options of mmpretrain's test.py and ``--on``."""
    p = ArgumentParser(description='Test a checkpoint.')
    p.add_argument('config', help='the config that the checkpoint was trained with')
    p.add_argument('checkpoint', help='the checkpoint')
    p.add_argument('--work-dir', help='folder of the log and the results')
    p.add_argument('--out', help='file of the predictions (.pkl) or metrics')
    p.add_argument('--out-item', choices=['metrics', 'pred'], help='what --out holds (pred)')
    p.add_argument('--amp', action='store_true', help='test in mixed precision')
    p.add_argument('--show-dir', help='folder of the predicted images')
    p.add_argument('--show', action='store_true', help='show predicted images in a window')
    p.add_argument('--interval', type=int, default=1, help='show each n-th image (1)')
    p.add_argument('--wait-time', type=float, default=2, help='seconds of each window (2)')
    p.add_argument(
        '--tta',
        action='store_true',
        help="average over the config's tta_pipeline, by default over the image and its mirror "
        'image',
    )
    add_upstream_options(p)
    return p


def main() -> None:
    """Test as the command line says."""
    from .upstream import test

    test()
