"""How every command runs: a user's mistake is one plain message, Ctrl-C says what is kept."""

import os
import sys
import traceback
from collections.abc import Callable

from mmengine.logging import MMLogger
from mmengine.registry import build_functions
from torch import distributed

from ..config import config_folder
from ..errors import InputError
from ..io.printing import may_close, plain
from .runner import shorten_terminal


def run_tool(main: Callable[[], None], kept: str = '') -> None:
    """Run a command: the user's mistakes are one plain message (exit code 2), Ctrl-C another (130).

    A mistake is an InputError, an OSError, an ImportError (of a package that a setting needs), or
    what a config's component raises when it is built.
    ``LMMREG_TRACEBACK=1`` shows where it was found. Configs may inherit from
    ``{{$LMMREG_CONFIGS:configs}}/...``, which is set here.

    Args:
        main: The command.
        kept: What Ctrl-C leaves behind, and how to go on; the interrupt's own text comes first.
    """
    os.environ.setdefault('LMMREG_CONFIGS', str(config_folder()))
    shorten_terminal(MMLogger.get_current_instance())
    try:
        with may_close():
            main()
        if distributed.is_available() and distributed.is_initialized():
            distributed.barrier()  # none leaves while another still needs it
            distributed.destroy_process_group()
    except KeyboardInterrupt as stop:
        print(f'\nstopped. {stop}{kept}', file=sys.stderr, flush=True)
        sys.exit(130)
    except Exception as error:
        component = _component_of(error)
        known = isinstance(error, InputError | OSError | ImportError) or component is not None
        if not known or os.environ.get('LMMREG_TRACEBACK') == '1':
            raise
        text = str(error.args[0] if isinstance(error, KeyError) else error)
        print(plain(f'error: {text}'), file=sys.stderr, flush=True)
        sys.exit(2)


def _component_of(error: Exception) -> object:
    """What a registry was making of a config when it failed, a misspelt option for one, or None.

    mmengine passes on whatever a component raises, so that the kind of error does not tell.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    making = [f for f in frames if f.f_globals.get('__name__') == build_functions.__name__]
    return (making[-1].f_locals.get('obj_cls') or '') if making else None
