"""Train a model, with mmpretrain's own options."""

from .upstream_help import UpstreamParser


def parser() -> UpstreamParser:
    """The command's options."""
    return UpstreamParser('train')


def main() -> None:
    """Train as the command line says."""
    from .upstream import train

    train()
