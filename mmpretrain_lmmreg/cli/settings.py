"""Settings that nothing reads, and the right name for a wrong one."""

import inspect
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain import registry

# What a config of this project may say beside mmengine's own keys
OURS = (
    'method',
    'protocol',
    'templates',
    'sentences',
    'context',
    'token_width',
    'labo_lr',
    'keep_descriptions',
    'custom_imports',
    'auto_scale_lr',
    'runner_type',
    'load_partly',
)
REGISTRIES = (
    registry.MODELS,
    registry.DATASETS,
    registry.TRANSFORMS,
    registry.HOOKS,
    registry.LOOPS,
    registry.METRICS,
    registry.OPTIMIZERS,
    registry.PARAM_SCHEDULERS,
    registry.VISBACKENDS,
    registry.VISUALIZERS,
)


def known_keys() -> list[str]:
    """Top-level keys that mmengine's Runner or this project reads."""
    runner = inspect.signature(Runner.__init__).parameters
    return [*(name for name in runner if name not in ('self', 'cfg')), *OURS]


def key_problems(cfg: Config, given: Iterable[str] = ()) -> list[str]:
    """Top-level keys that are surely meant otherwise, a line each, with the right name.

    Those of the file that are nearly one that is read, for others are a user's own; of the command
    line's (``given``, such as ``model.head.alpha``) those whose first part neither the config has
    nor anything reads.
    """
    known, wrong = known_keys(), []
    for key in cfg:
        near = nearest(key, known)
        if key not in known and near and abs(len(key) - len(near)) <= 2:
            wrong.append(f'{cfg.filename} sets {key}, which nothing reads; did you mean {near}?')
    for key in given:
        first = key.split('.')[0]
        if first not in cfg and first not in known:
            near = nearest(first, [*known, *cfg])
            hint = f'; did you mean {near}{key[len(first) :]}?' if near else ''
            wrong.append(f'--cfg-options {key}: the config has no {first}{hint}')
    return wrong


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that a wrong one most resembles, if any does."""
    return next(iter(get_close_matches(name, known, 1, 0.8)), None)


def hint_of(message: str, component: object) -> str:
    """The right name for a misspelt argument or type that an error of a registry names, or ''.

    Args:
        message: The error's.
        component: The class that was being built, if it was found.
    """
    argument = re.search(r"unexpected keyword argument '(\w+)'", message)
    if argument and inspect.isclass(component):
        near = nearest(argument[1], _arguments(component))
        return f'; did you mean {near!r}?' if near else ''
    unknown = re.search(r'(\w+) is not in the [\w-]+::[\w ]+ registry', message)
    if unknown:
        names = [name for each in REGISTRIES for name in (*each.module_dict, *_inherited(each))]
        near = nearest(unknown[1], names)
        return f' Did you mean {near!r}?' if near else ''
    return ''


def _inherited(each: registry.Registry) -> list[str]:
    return list(each.parent.module_dict) if each.parent else []


def _arguments(component: type) -> list[str]:
    """Arguments of a class, its parents' included."""
    makers = [vars(cls)['__init__'] for cls in component.__mro__ if '__init__' in vars(cls)]
    names = [name for maker in makers for name in inspect.signature(maker).parameters]
    return [p for p in dict.fromkeys(names) if p not in ('self', 'args', 'kwargs')]
