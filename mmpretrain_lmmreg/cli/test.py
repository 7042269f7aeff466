"""Test a model, with mmpretrain's own options."""

from .upstream import test as main

__all__ = ['main']
