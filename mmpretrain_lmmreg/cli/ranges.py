"""Settings of mmengine and mmpretrain that end in a traceback, or in nothing, out of range."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config

# Of whole numbers: the least, and a value beside these that means something else
LEAST: dict[str, tuple[int, int | None]] = {
    'train_cfg.max_epochs': (1, None),
    'train_cfg.max_iters': (1, None),
    'train_cfg.val_interval': (1, None),
    'train_cfg.val_begin': (0, None),
    'train_cfg.min_iters': (0, None),
    'default_hooks.checkpoint.interval': (1, -1),
    'default_hooks.checkpoint.max_keep_ckpts': (1, -1),
    'default_hooks.logger.interval': (1, None),
    'model.head.num_classes': (1, None),
    'model.head.in_channels': (1, None),
    'optim_wrapper.accumulative_counts': (1, None),
    'randomness.seed': (0, None),
    **{
        f'{part}_dataloader.{key}': (least, None)
        for part in ('train', 'val', 'test')
        for key, least in (('batch_size', 1), ('num_workers', 0))
    },
}
LEVELS = ('CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG', 'NOTSET')


def value_at(part: Any, key: str) -> Any:
    """The value of a dotted key, None where a part of it is not there."""
    for name in key.split('.'):
        part = part.get(name) if isinstance(part, dict | Config) else None
    return part


def range_problems(cfg: Config) -> list[tuple[str, str]]:
    """Keys whose values are out of range, each with what they should be."""
    found = []
    for key, (least, other) in LEAST.items():
        value = value_at(cfg, key)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (whole and (value >= least or value == other)):
            text = f'must be a whole number, at least {least}' + f' or {other}' * bool(other)
            found.append((key, f'{text}, not {value!r}'))
    level = cfg.get('log_level', 'INFO')
    known = level in LEVELS if isinstance(level, str) else level in logging._levelToName
    if not known:
        found.append(('log_level', f'must be one of {", ".join(LEVELS)}, not {level!r}'))
    return [*found, *_pixels(cfg), *_topk(cfg), *_optimizer(cfg)]


def _pixels(cfg: Config) -> Iterator[tuple[str, str]]:
    preprocessor = value_at(cfg, 'model.data_preprocessor') or {}
    for name in ('mean', 'std'):
        values = preprocessor.get(name)
        if values is None:
            continue
        numbers = _items(values)
        good = len(numbers) == 3 and all(_is_number(v) for v in numbers)
        if not good or (name == 'std' and min(numbers) <= 0):
            kind = 'positive numbers' if name == 'std' else 'numbers'
            yield f'model.data_preprocessor.{name}', f'must be three {kind}, not {values}'


def _topk(cfg: Config) -> Iterator[tuple[str, str]]:
    classes = value_at(cfg, 'model.head.num_classes')
    if not isinstance(classes, int) or classes < 1:
        return
    for part in ('val_evaluator', 'test_evaluator'):
        evaluators = cfg.get(part) or []
        for each in [evaluators] if isinstance(evaluators, dict) else evaluators:
            wrong = [k for k in _items(each.get('topk', ())) if not _within(k, classes)]
            if wrong:
                yield f'{part}.topk', f'must be from 1 to the {classes} classes, not {wrong[0]}'


def _optimizer(cfg: Config) -> Iterator[tuple[str, str]]:
    optimizer = value_at(cfg, 'optim_wrapper.optimizer') or {}
    for key in ('lr', 'weight_decay'):
        if _is_number(optimizer.get(key)) and not 0 <= optimizer[key] < float('inf'):
            text = f'must be a finite number, at least 0, not {optimizer[key]}'
            yield f'optim_wrapper.optimizer.{key}', text


def _items(value: object) -> Sequence:
    return value if isinstance(value, list | tuple) else [value]


def _within(k: object, classes: int) -> bool:
    return not _is_number(k) or 1 <= k <= classes  # type: ignore[operator]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
