"""The commands, started by ``mmpretrain_lmmreg_start``: one module each.

Each has ``parser()``, ``main()``, and ``KEPT``, what Ctrl-C leaves behind. It is imported before
the arguments are read, so what needs torch is imported in ``main()``.
"""
