"""Train a model, with mmpretrain's own options."""

from argparse import ArgumentParser

from .options import add_upstream_options


def parser() -> ArgumentParser:
    """The options of mmpretrain's train.py and ``--on``."""
    p = ArgumentParser(
        description='Train a model. Ctrl-C keeps the last checkpoint and all features; --resume '
        'goes on.'
    )
    p.add_argument('config', help='the config to train, or a method of configs/methods')
    p.add_argument('--work-dir', help='folder of logs, checkpoints and results')
    p.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint, or from the last one in the work folder',
    )
    p.add_argument('--amp', action='store_true', help='train in mixed precision')
    p.add_argument('--no-validate', action='store_true', help='do not test during training')
    p.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the batch size; see auto_scale_lr in the config',
    )
    p.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help="start the loaders' workers anew in each epoch",
    )
    add_upstream_options(p)
    return p


def main() -> None:
    """Train as the command line says."""
    from .upstream import train

    train()
