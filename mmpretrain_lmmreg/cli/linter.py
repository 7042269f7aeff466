"""Looks at every setting of a config before anything is built; all mistakes are one message."""

import inspect
import logging
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import LogProcessor, Runner
from mmpretrain import registry
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from ..config import parts_of
from ..errors import InputError, MissingInputError

KEYS = set(inspect.signature(Runner).parameters) - {'cfg'}
# What a config may say beside them. Keys that resemble none of either are a user's own variables.
OURS = {'method', 'protocol', 'templates', 'sentences', 'keep_descriptions', 'load_partly'}
OURS |= {'custom_imports', 'auto_scale_lr', 'runner_type', 'tta_model'}
REGISTRIES = [each for each in vars(registry).values() if isinstance(each, Registry)]
# Settings that mmengine takes out before it makes the component
TAKEN_OUT = {'type', '_scope_', 'priority', 'constructor', 'paramwise_cfg', 'convert_to_iter_based'}
TAKEN_OUT |= {'dataset', 'num_batch_per_epoch'}
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# Dicts without a type, and what takes their items
PLAIN: dict[str, Callable] = {
    **dict.fromkeys(LOADERS, DataLoader),
    'optim_wrapper.clip_grad': clip_grad_norm_,
    'randomness': Runner.set_randomness,
    'log_processor': LogProcessor,
}
# Of whole numbers of upstream's: the least, and a value that means something else
LEAST: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(('train_cfg.max_epochs', 'train_cfg.max_iters'), (1, None)),
    **dict.fromkeys(('train_cfg.val_interval', 'default_hooks.logger.interval'), (1, None)),
    **dict.fromkeys(('train_cfg.val_begin', 'train_cfg.min_iters', 'randomness.seed'), (0, None)),
    **{f'default_hooks.checkpoint.{key}': (1, -1) for key in ('interval', 'max_keep_ckpts')},
    **{f'model.head.{key}': (1, None) for key in ('num_classes', 'in_channels')},
    'optim_wrapper.accumulative_counts': (1, None),
    **{f'{loader}.batch_size': (1, None) for loader in LOADERS},
    **{f'{loader}.num_workers': (0, None) for loader in LOADERS},
}
LEVELS = ('CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG', 'NOTSET')
Problems = Iterator[tuple[str, str]]  # a key, and what is wrong with it


def check_settings(cfg: Config, given: Sequence[str] = (), own: Iterable[str] = ()) -> None:
    """Refuse a config's settings that no run could use, all of them in one message.

    Args:
        cfg: The config, with what the command line sets.
        given: Keys of ``--cfg-options``.
        own: Top-level keys of the file; the config's by default.

    Raises:
        InputError: a line for each, with the file, the key and the nearest right name.
    """
    new = {key.partition('.')[0] for key in given} - set(own or cfg)
    lines = []
    for key, text in dict.fromkeys([*_unread(cfg, new), *setting_problems(cfg)]):
        typed = any(f'{a}.'.startswith(f'{b}.') for g in given for a, b in ((g, key), (key, g)))
        lines.append(f'{"--cfg-options" if typed else cfg.filename}: {key} {text}')
    if lines:
        raise InputError('\n'.join(lines), code='config.wrong_setting')


def _unread(cfg: Config, new: set[str]) -> Problems:
    """Top-level keys that are surely meant otherwise.

    Those of the file that nearly are a key that is read, since others are a user's own variables;
    of the command line (``new``) all.
    """
    known = KEYS | OURS
    for key in [key for key in cfg if key not in known and key != 'tta_pipeline']:
        near = get_close_matches(key, known | (set(cfg) if key in new else set()) - {key}, 1, 0.8)
        if key in new or (near and abs(len(key) - len(near[0])) <= 2):
            hint = f'; did you mean {near[0]}?' if near else ''
            yield key, f'is set, but nothing reads it{hint}'


def setting_problems(cfg: Config) -> list[tuple[str, str]]:
    """All settings of a config that are unknown, of a wrong type or out of range.

    Names are those of the signatures of what the config names. Types (by the hints) and ranges (by
    making them, without memory for tensors) are looked at in this package's components; in
    upstream's, numbers and switches.
    """
    found: list[tuple[str, str]] = []
    scope = cfg.get('default_scope') or 'mmpretrain'
    with DefaultScope.overwrite_default_scope(scope), torch.device('meta'):
        for key in (key for key in cfg if key in KEYS and key not in ('env_cfg', 'launcher')):
            for path, part in parts_of(cfg[key], key):
                found += _component_problems(path, part) if 'type' in part else []
    for key, taker in PLAIN.items():
        part = _value_at(cfg, key)
        if isinstance(part, dict) and 'type' not in part:
            found += _item_problems(f'{key}.', part, taker)
    top = {key: cfg[key] for key in KEYS & set(cfg) if cfg[key] is not None}
    found += _item_problems('', top, Runner)
    seen = {key for key, _ in found}
    return [*found, *(problem for problem in _of_upstream(cfg) if problem[0] not in seen)]


def _component_problems(path: str, part: ConfigDict) -> list[tuple[str, str]]:
    """What is wrong with a component; of several of its name, the one that takes it best."""
    name = part['type']
    found = {_registered(name, each) for each in REGISTRIES} if isinstance(name, str) else {name}
    if found == {None}:
        known = [n for r in REGISTRIES for n in (*r.module_dict, *(r.parent or r).module_dict)]
        near = _hint(name, known)
        return [(f'{path}.type', f'is {name!r}, which nothing is called{near}')] if near else []
    classes = [each for each in found if inspect.isclass(each)]
    best = min((list(_item_problems(f'{path}.', part, c)) for c in classes), key=len, default=[])
    if not best and len(classes) == 1 and (refusal := _refusal(part, classes[0])):
        return [(path, f'is refused: {refusal}')]
    return best


def _registered(name: str, registry: Registry) -> Any:
    """As ``registry.get``, which tries to import each name that is not found, in milliseconds."""
    registry.import_from_location()
    for each in (registry, registry.parent):
        if each is not None and name in each.module_dict:
            return each.module_dict[name]
    return registry.get(name) if '.' in name else None


def _item_problems(path: str, part: dict, taker: Callable) -> Problems:
    """Names that a class or function does not take, and values that do not fit its hints."""
    parameters, open_ended = _parameters(taker)
    ours = _is_ours(taker)
    for key, value in part.items():
        if key in TAKEN_OUT:
            continue
        if key not in parameters:
            near = _hint(key, [*parameters, *TAKEN_OUT])
            if near or not open_ended:
                yield path + key, f'is not a setting of {taker.__name__}{near}'
            continue
        hint, default = parameters[key].annotation, parameters[key].default
        if value is default or (not ours and (value == default or not _is_plain(hint))):
            continue
        if not _fits(value, hint):
            words = re.sub(r'[a-z_]+\.', '', inspect.formatannotation(hint))
            number = isinstance(value, float) and not math.isfinite(value)
            yield path + key, f'must be {"finite" if number else words}, not {value!r}'


def _parameters(taker: Callable) -> tuple[dict[str, inspect.Parameter], bool]:
    """Each setting, a class's parents' included, and whether there may be others.

    What upstream's classes do with their ``**kwargs`` is not known.
    """
    found: dict[str, inspect.Parameter] = {}
    open_ended = False
    makers: list[Any] = [taker]
    if inspect.isclass(taker):
        makers = [vars(cls).get('__init__') for cls in taker.__mro__]
    for maker in filter(inspect.isfunction, makers):
        try:
            parameters = inspect.signature(maker, eval_str=True).parameters.values()
        except Exception:  # hints with names that upstream imports for type checkers alone
            parameters = inspect.signature(maker).parameters.values()
        for each in parameters:
            if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) and each.name != 'self':
                found.setdefault(each.name, each)
        if all(each.kind is not each.VAR_KEYWORD for each in parameters):
            break
        open_ended = open_ended or not _is_ours(maker)
    return found, open_ended


def _is_ours(component: object) -> bool:
    return getattr(component, '__module__', '').startswith(__name__.partition('.')[0])


def _is_plain(hint: Any) -> bool:
    """Whether a hint is of numbers, switches or dicts, which upstream's hints are right about."""
    parts = typing.get_args(hint) or (hint,)
    return any((typing.get_origin(part) or part) in (bool, int, float, dict) for part in parts)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of a config fits a type hint; what cannot be told fits."""
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (types.UnionType, typing.Union):
        return any(_fits(value, each) for each in inner)
    if kind in (Any, inspect.Parameter.empty) or not inspect.isclass(kind):
        return True
    if kind in (int, float):
        number = isinstance(value, int | kind) and not isinstance(value, bool)
        return number and math.isfinite(value)
    if kind in (str, bool, type(None)):
        return isinstance(value, kind)
    if issubclass(kind, Sequence):
        one = set(inner) - {...}
        each = one.pop() if len(one) == 1 else Any
        return isinstance(value, list | tuple) and all(_fits(item, each) for item in value)
    # a dict, or of another class, for which a config may have a dict that makes one
    return not isinstance(value, str | bool | int | float | list | tuple | type(None))


def _refusal(part: ConfigDict, component: type) -> Exception | None:
    """What a component of ours, or an optimizer, says about its settings when it is made."""
    settings = {key: value for key, value in part.items() if key not in TAKEN_OUT}
    if issubclass(component, torch.optim.Optimizer):
        settings['params'] = [torch.zeros(1)]
    elif not _is_ours(component):
        return None
    if 'pipeline' in settings:  # a data set's, whose transforms are looked at one by one
        settings.update(lazy_init=True, pipeline=[])
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it is made again for the run
    try:
        component(**ConfigDict(settings).to_dict())
    except MissingInputError:
        return None  # see cli.inputs, which lists all that is missing
    except (InputError, ValueError) as error:
        return error
    except Exception as error:
        # others cannot be made alone, or without memory: the run's own attempt says what is wrong
        return error if 'unexpected keyword argument' in str(error) else None
    finally:
        logging.disable(before)
    return None


def _of_upstream(cfg: Config) -> Problems:
    """Settings of upstream's that end in a traceback, or in nothing."""
    hooks = {k: h for k, h in (cfg.get('default_hooks') or {}).items() if isinstance(h, dict)}
    named = [key for key, hook in hooks.items() if 'type' in hook]
    for key in hooks.keys() - set(named):
        near = _hint(key, named)
        yield f'default_hooks.{key}', f'has no type, and none of this name is inherited{near}'
    for key, (least, other) in LEAST.items():
        value = _value_at(cfg, key)
        if value is not None and not (_fits(value, int) and (value >= least or value == other)):
            text = f'must be a whole number, at least {least}' + f' or {other}' * bool(other)
            yield key, f'{text}, not {value!r}'
    if (level := cfg.get('log_level', 'INFO')) not in LEVELS:
        yield 'log_level', f'must be one of {", ".join(LEVELS)}, not {level!r}'
    classes = _value_at(cfg, 'model.head.num_classes')
    for part in ('val_evaluator', 'test_evaluator'):
        evaluators = cfg.get(part) or []
        for each in [evaluators] if isinstance(evaluators, dict) else evaluators:
            topk = each.get('topk', ())
            for k in topk if isinstance(topk, list | tuple) else [topk]:
                if _fits(k, int) and _fits(classes, int) and not 1 <= k <= classes:
                    yield f'{part}.topk', f'must be from 1 to the {classes} classes, not {k}'


def _value_at(part: Any, key: str) -> Any:
    """The value of a dotted key, None where a part of it does not exist."""
    for name in key.split('.'):
        part = part.get(name) if isinstance(part, dict | Config) else None
    return part


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1, 0.8)
    return f'; did you mean {near[0]}?' if near else ''
