"""``python -m mmpretrain_lmmreg COMMAND ...``: the same as ``mmpretrain-lmmreg COMMAND ...``."""

from .cli.main import main

if __name__ == '__main__':
    main()
