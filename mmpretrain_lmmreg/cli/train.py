"""Train a model, with mmpretrain's own options."""

from argparse import ArgumentParser

from .options import add_upstream_options, command_parser


def parser() -> ArgumentParser:
    """The options of mmpretrain's train.py and ``--on``."""
    p = command_parser(
        'Train a method on a data set. Ctrl-C keeps the last checkpoint and all features;\n'
        '--resume continues.',
        'mmpretrain-lmmreg train configs/methods/gda.py --on configs/lmmreg_demo.py',
    )
    p.add_argument('config', metavar='CONFIG', help="a data set's config or a method's")
    add = p.add_argument_group('training').add_argument
    add('--work-dir', metavar='DIR', help='folder of logs, checkpoints and results')
    resume = 'continue from this checkpoint, or from the newest one in the work folder'
    add('--resume', nargs='?', const='auto', metavar='CHECKPOINT', help=resume)
    add('--amp', action='store_true', help='train in mixed precision')
    add('--no-validate', action='store_true', help='do not test during training')
    scale = 'scale the learning rate by the batch size, from auto_scale_lr of the config'
    add('--auto-scale-lr', action='store_true', help=scale)
    add_upstream_options(p).add_argument(
        '--no-persistent-workers', action='store_true', help='start new workers in each epoch'
    )
    return p


def main() -> None:
    """Train as the command line says."""
    from .upstream import train

    train()
