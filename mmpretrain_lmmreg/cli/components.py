"""Every setting of a config, looked at before anything is built."""

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.runner import LogProcessor, Runner
from mmpretrain import registry
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from ..errors import InputError, MissingInputError
from .ranges import range_problems, value_at
from .settings import nearest
from .signatures import is_ours, is_plain, misfit, parameters_of

# The registry of what stands below a key of the config, and of what stands deeper below others
TOP = {
    'model': registry.MODELS,
    'tta_model': registry.MODELS,
    'optim_wrapper': registry.OPTIM_WRAPPERS,
    'param_scheduler': registry.PARAM_SCHEDULERS,
    'train_cfg': registry.LOOPS,
    'val_cfg': registry.LOOPS,
    'test_cfg': registry.LOOPS,
    'val_evaluator': registry.METRICS,
    'test_evaluator': registry.METRICS,
    'default_hooks': registry.HOOKS,
    'custom_hooks': registry.HOOKS,
    'visualizer': registry.VISUALIZERS,
    'vis_backends': registry.VISBACKENDS,
}
INNER = {
    'init_cfg': registry.WEIGHT_INITIALIZERS,
    'augments': registry.BATCH_AUGMENTS,
    'dataset': registry.DATASETS,
    'datasets': registry.DATASETS,
    'pipeline': registry.TRANSFORMS,
    'sampler': registry.DATA_SAMPLERS,
    'batch_sampler': registry.DATA_SAMPLERS,
    'optimizer': registry.OPTIMIZERS,
    'vis_backends': registry.VISBACKENDS,
}
# Keys that mmengine takes out before it makes the component
TAKEN_OUT = {
    registry.HOOKS: ('priority',),
    registry.OPTIM_WRAPPERS: ('constructor', 'paramwise_cfg'),
    registry.PARAM_SCHEDULERS: ('convert_to_iter_based',),
}
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
LOADERS_OWN = ('dataset', 'num_batch_per_epoch')  # mmengine's, beside DataLoader's
# Dicts without a type, and what takes their items
PLAIN: dict[str, Callable] = {
    **dict.fromkeys(LOADERS, DataLoader),
    'optim_wrapper.clip_grad': clip_grad_norm_,
    'randomness': Runner.set_randomness,
    'log_processor': LogProcessor,
}
Problem = tuple[str, str]  # the key and what is wrong with it


def check_settings(cfg: Config, given: Iterable[str] = (), wrong: Iterable[str] = ()) -> None:
    """Refuse a config's settings that no run could use, all of them in one message.

    Args:
        cfg: The config, with what the command line sets.
        given: Keys of ``--cfg-options``.
        wrong: What is known to be wrong already, a line each.

    Raises:
        InputError: a line for each, with the file, the key and the nearest right name.
    """
    given = tuple(given)
    lines = list(wrong)
    for key, text in setting_problems(cfg):
        near = any(_is_about(key, text, each) for each in given)
        lines.append(f'{"--cfg-options" if near else cfg.filename}: {key} {text}')
    if lines:
        raise InputError('\n'.join(lines))


def _is_about(key: str, text: str, given: str) -> bool:
    """Whether a problem comes from a key of the command line."""
    below, _, name = given.rpartition('.')
    return key == given or key.startswith(f'{given}.') or (key == below and f'{name}=' in text)


def setting_problems(cfg: Config) -> list[Problem]:
    """All settings of a config that are unknown, of a wrong type or out of range.

    Components are those that the config names: of ours, names, types (by the hints of their
    ``__init__``) and ranges (by making them, without memory for their tensors); of upstream's,
    names, and types of numbers and switches.
    """
    found: list[Problem] = []
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        for path, part, place in _components(cfg):
            found += _component_problems(path, part, place)
    for key, taker in PLAIN.items():
        part = value_at(cfg, key)
        if isinstance(part, dict) and 'type' not in part:
            found += _item_problems(key, part, taker, LOADERS_OWN if key in LOADERS else ())
    found += [*_top_problems(cfg), *_nameless_hooks(cfg)]
    known = {key for key, _ in found}
    found += [(key, text) for key, text in range_problems(cfg) if key not in known]
    return list(dict.fromkeys(found))


def _top_problems(cfg: Config) -> Iterator[Problem]:
    """What is of another type than mmengine's Runner takes."""
    parameters, _ = parameters_of(Runner)
    for key in parameters.keys() & set(cfg):
        expected = misfit(cfg[key], parameters[key][0])
        if expected and cfg[key] is not None:
            yield key, f'must be {expected}, not {cfg[key]!r}'


def _nameless_hooks(cfg: Config) -> Iterator[Problem]:
    given = cfg.get('default_hooks')
    hooks = given if isinstance(given, dict) else {}
    hooks = {key: hook for key, hook in hooks.items() if isinstance(hook, dict)}
    named = [key for key, hook in hooks.items() if 'type' in hook]
    for key in hooks:
        if key not in named:
            near = _hint(key, named)
            yield f'default_hooks.{key}', f'has no type, and none of this name is inherited{near}'


def _components(cfg: Config) -> Iterator[tuple[str, ConfigDict, registry.Registry]]:
    """Where components stand in a config, what they are made of, and their registry."""
    for key in cfg:
        if key in TOP or key in LOADERS:
            yield from _walk(key, cfg[key], TOP.get(key))


def _walk(path: str, part: Any, place: Any) -> Iterator[tuple[str, ConfigDict, registry.Registry]]:
    if isinstance(part, dict):
        if place is not None and 'type' in part:
            yield path, part, place
        for key in part:
            inner = place if path == 'default_hooks' else INNER.get(key, place)
            yield from _walk(f'{path}.{key}', part[key], inner)
    elif isinstance(part, list | tuple):
        for number, child in enumerate(part):
            yield from _walk(f'{path}.{number}', child, place)


def _component_problems(path: str, part: ConfigDict, place: registry.Registry) -> list[Problem]:
    name = part['type']
    component = _find(name, place) if isinstance(name, str) else name
    if component is None:
        known = [each for level in _levels(place) for each in level.module_dict]
        return [(f'{path}.type', f'is {name!r}, which nothing is called{_hint(name, known)}')]
    if not inspect.isclass(component):
        return []
    found = _item_problems(path, part, component, TAKEN_OUT.get(place, ()))
    if not found and is_ours(component) and place is not registry.LOOPS:
        found = _made(path, part, place)
    return found


def _find(name: str, place: registry.Registry) -> Any:
    try:
        return place.get(name)
    except (RuntimeError, ImportError):
        return None


def _levels(place: registry.Registry | None) -> Iterator[registry.Registry]:
    while place is not None:
        yield place
        place = place.parent


def _item_problems(path: str, part: dict, taker: Callable, others: tuple) -> list[Problem]:
    """Names that a class or function does not take, and values that do not fit its hints."""
    parameters, open_ended = parameters_of(taker)
    name = getattr(taker, '__name__', str(taker))
    ours, found = is_ours(taker), []
    for key in part:
        where = f'{path}.{key}'
        if key in ('type', '_scope_', *others):
            continue
        if key not in parameters:
            near = _hint(key, [*parameters, *others])
            if near or not open_ended:
                found.append((where, f'is no setting of {name}{near}'))
            continue
        (hint, default), value = parameters[key], part[key]
        if value is default or (not ours and not is_plain(hint)):
            continue
        expected = misfit(value, hint)
        if expected and not (not ours and value == default):
            found.append((where, f'must be {expected}, not {value!r}'))
    return found


def _made(path: str, part: ConfigDict, place: registry.Registry) -> list[Problem]:
    """What a component of ours says about its settings when it is made."""
    settings = part.to_dict() if isinstance(part, ConfigDict) else dict(part)
    if place is registry.DATASETS:
        settings.update(lazy_init=True, pipeline=[])  # whose transforms are looked at one by one
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it is made again for the run
    try:
        with torch.device('meta'):
            place.build(settings)
    except MissingInputError:
        pass  # see cli.inputs, which lists all that is missing
    except InputError as error:
        return [(path, f'is refused: {error}')]
    except Exception:
        pass  # the run's own attempt says what else is wrong
    finally:
        logging.disable(before)
    return []


def _hint(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    return f'; did you mean {near}?' if near else ''
