"""The commands, one module each; :mod:`.main` lists and starts them.

Each has ``parser()``, ``main()``, and may have ``KEPT``, what Ctrl-C leaves behind. A module is
imported before the arguments are read, so what needs torch or mm* is imported in ``main()``.
"""
