"""Test a model, with mmpretrain's own options."""

from .upstream_help import UpstreamParser


def parser() -> UpstreamParser:
    """The command's options."""
    return UpstreamParser('test')


def main() -> None:
    """Test as the command line says."""
    from .upstream import test

    test()
