"""Train a model, with mmpretrain's own options."""

from .upstream import train as main

__all__ = ['main']
