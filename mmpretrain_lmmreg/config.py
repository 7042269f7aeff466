"""The configs that come along, and a method's config put on a data set's.

A file of ``configs/methods`` inherits from the config that the environment variable ``LMMREG_ON``
names, by default the demo's. The commands set it by ``--on CONFIG``.
"""

from __future__ import annotations

import os
import re
from argparse import _ActionsContainer
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError, MissingInputError

if TYPE_CHECKING:  # parsers import this file before torch is there
    from mmengine.config import Config

ON = 'LMMREG_ON'
# How a method's file asks for the config that it inherits from
_ASKS_ON = re.compile(r"environ\.get\('LMMREG_ON'\)|\{\{\$LMMREG_ON:")
# What mmengine replaces in the text of a config, so that a run's own config would read otherwise
_REPLACED = re.compile(
    r'\{\{[\'"]?\s*(\$\w+\s*:|_base_\.|file(Dirname|Basename|Extname)\w*\s*\}\})'
)


def config_folder() -> Path:
    """Folder of the configs: the wheel's, or the checkout's."""
    package = Path(__file__).resolve().parent
    installed = package / '.mim' / 'configs'
    return installed if installed.is_dir() else package.parent / 'configs'


def method_file(name: str) -> str:
    """The config of a method: one of ``configs/methods`` by its name, or a file.

    Raises:
        InputError: neither.
    """
    known = {path.stem: path for path in sorted((config_folder() / 'methods').glob('*.py'))}
    if name in known:
        return str(known[name])
    if not Path(name).is_file():
        raise MissingInputError(
            f'there is no method {name!r}; give a config file, or one of {", ".join(known)}',
            code='config.no_method',
        )
    return name


def add_on(parser: _ActionsContainer) -> None:
    """Add the option ``--on`` to a parser, or to a group of its options."""
    parser.add_argument(
        '--on',
        metavar='DATA',
        help='put a method of configs/methods on the data set of this config (the demo)',
    )


@contextmanager
def put_on(on: str | Path | None) -> Iterator[None]:
    """Inside, methods inherit from the config ``on``; None changes nothing."""
    before = os.environ.get(ON)
    if on is not None:
        os.environ[ON] = os.path.abspath(on)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(ON, None)
        else:
            os.environ[ON] = before


def load_config(path: str | Path, on: str | Path | None = None) -> Config:
    """Read a config; a method's is put on the config ``on``.

    Args:
        path: The config.
        on: The config that a method inherits from; by default what ``LMMREG_ON`` names, else the
            demo's.

    Returns:
        The config; a method's remembers ``LMMREG_ON`` in ``env_variables``.

    Raises:
        MissingInputError: ``on`` is not there.
        InputError: a config cannot be read; ``on`` is itself a method, or lacks what the method
            takes from it; ``path`` would be the same without it.
    """
    if on is None:
        return _read(path)
    if not Path(on).is_file():
        raise MissingInputError(f'--on {on}: there is no such config', code='config.missing')
    if '::' in os.path.abspath(on):
        raise InputError(
            f"--on {on}: mmengine reads '::' in a path as a package's name; rename the folder",
            code='config.unreadable',
        )
    with put_on(config_folder() / 'lmmreg_demo.py'):
        if _ASKS_ON.search(_read(on).text):
            raise InputError(
                f"--on {on}: this is itself a method; give a data set's config",
                code='config.on_is_method',
            )
    with put_on(on):
        try:
            cfg = _read(path)
        except InputError as error:
            if not isinstance(error.__cause__, AttributeError | KeyError):
                raise
            raise InputError(
                f'{path} cannot be put on {on}, which lacks something that the method takes from '
                f'it ({error.__cause__}); let it inherit from one of {config_folder()}/lmmreg_*.py',
                code='config.on_unfit',
            ) from error
    if not _ASKS_ON.search(cfg.text):
        raise InputError(
            f'--on {on}: {path} is not a method; the methods are in {config_folder() / "methods"}',
            code='config.not_a_method',
        )
    return cfg


def _read(path: str | Path) -> Config:
    """Read a config file; a method's remembers what ``LMMREG_ON`` named."""
    from mmengine.config import Config

    try:
        cfg = Config.fromfile(path)
    except InputError:
        raise
    except Exception as error:  # a config is a program
        raise InputError(
            f'the config {path} cannot be read: {type(error).__name__}: {error}{_broken_by(path)}',
            code='config.unreadable',
        ) from error
    if _ASKS_ON.search(cfg.text) and os.environ.get(ON):
        cfg.env_variables[ON] = os.environ[ON]
    check_braces(cfg)
    return cfg


def _broken_by(path: str | Path) -> str:
    """What mmengine pastes into a config's text that is no plain text there, as a hint."""
    if not Path(path).is_file():
        return ''
    text = Path(path).read_text('utf-8', 'replace')
    values = {
        name: os.environ.get(name[1:], '') if name[0] == '$' else os.path.abspath(path)
        for name in re.findall(r'\{\{[\'"]?\s*(\$\w+|file\w+)', text)
    }
    broken = [name for name, value in values.items() if re.search(r'[\'"\\\n]', value)]
    return (
        f'. mmengine pastes {", ".join(broken)} into its text, where a quote, backslash or line '
        "break changes it: rename the folder, or write __import__('os').environ['NAME'] + '/...'"
        if broken
        else ''
    )


def check_braces(cfg: Config) -> None:
    """Refuse texts that mmengine would replace when it reads the run's own config again.

    Raises:
        InputError: a value has ``{{`` and a variable's name, as a folder's name may.
    """
    for _, part in parts_of(cfg.to_dict()):
        for key, value in part.items():
            for text in value if isinstance(value, list | tuple) else [value]:
                if isinstance(text, str) and _REPLACED.search(text):
                    raise InputError(
                        f'{key}={text!r}: mmengine would replace the text in {{{{ }}}} when it '
                        "reads the run's config again; rename the file or folder",
                        code='config.braces',
                    )


def is_on_the_demo(cfg: Config, path: str) -> bool:
    """Whether a method is put on the demo's config because no other was named."""
    method = Path(path).resolve().parent == config_folder() / 'methods'
    return method and cfg.env_variables.get(ON) is None


def work_dir_of(cfg: Config, path: str) -> str | None:
    """Default work folder of a method, named after it and the data set; None of another config."""
    on = 'lmmreg_demo.py' if is_on_the_demo(cfg, path) else cfg.env_variables.get(ON)
    if on is None:
        return None
    return os.path.join('work_dirs', f'{Path(path).stem}_{Path(on).stem.removeprefix("lmmreg_")}')


def check_files(config: str, checkpoint: str | None = None) -> None:
    """Refuse a config or checkpoint that does not exist, or one in place of the other.

    Raises:
        InputError, MissingInputError: see above.
    """
    if (checkpoint or '').endswith('.py') or config.endswith(('.pth', '.pt')):
        raise InputError(
            f'{config} is taken for the config and {checkpoint or "nothing"} for the '
            'checkpoint: give the config (.py) first, then the checkpoint (.pth)',
            code='config.swapped',
        )
    if not Path(config).is_file():
        raise MissingInputError(
            f'config {config} does not exist; the configs of this package are in {config_folder()}',
            code='config.missing',
        )
    if checkpoint and '://' not in checkpoint and not Path(checkpoint).is_file():
        raise MissingInputError(
            f'checkpoint: there is no file {checkpoint}', code='config.no_checkpoint'
        )


def is_type(part: dict, cls: type) -> bool:
    """Whether a component's ``type`` is this class: its name, or in a lazy config the class."""
    kind = part.get('type')
    return kind is cls or (isinstance(kind, str) and kind.rpartition('.')[2] == cls.__name__)


def parts_of(part: object, path: str = '') -> Iterator[tuple[str, dict]]:
    """All dicts of a config, however deep, and where each stands, such as ``model.head``."""
    if isinstance(part, dict):
        yield path, part
        children = list(part.items())
    else:
        children = list(enumerate(part)) if isinstance(part, list | tuple) else []
    for key, child in children:
        yield from parts_of(child, f'{path}.{key}' if path else str(key))
