"""Test a model, with mmpretrain's own options."""

from argparse import ArgumentParser

from .options import add_upstream_options, command_parser


def parser() -> ArgumentParser:
    """The options of mmpretrain's test.py and ``--on``."""
    p = command_parser(
        'Test a checkpoint on the test images of its config.',
        'mmpretrain-lmmreg test configs/lmmreg_demo.py work_dirs/lmmreg_demo/epoch_100.pth',
    )
    p.add_argument('config', metavar='CONFIG', help='the config of the training run')
    p.add_argument('checkpoint', metavar='CHECKPOINT', help='a checkpoint of that run')
    add = p.add_argument_group('testing').add_argument
    add('--amp', action='store_true', help='test in mixed precision')
    tta = 'average over the views of tta_pipeline; by default the image and its mirror image'
    add('--tta', action='store_true', help=tta)
    add = p.add_argument_group('output').add_argument
    add('--work-dir', metavar='DIR', help='folder of the log and the results')
    add('--out', metavar='FILE', help='file of the predictions (.pkl) or metrics')
    add('--out-item', choices=['metrics', 'pred'], help='what --out holds (pred)')
    add('--show-dir', metavar='DIR', help='folder for images with their predictions')
    add('--show', action='store_true', help='show images with their predictions in a window')
    add('--interval', type=int, default=1, metavar='N', help='show every Nth image (1)')
    add('--wait-time', type=float, default=2, metavar='S', help='seconds for each window (2)')
    add_upstream_options(p)
    return p


def main() -> None:
    """Test as the command line says."""
    from .upstream import test

    test()
