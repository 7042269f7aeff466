"""What a run needs and does not find, before it starts."""

import inspect
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS

from ..config import is_type, parts_of
from ..descriptions import AttachDescriptions
from ..errors import MissingInputError
from ..heads.base import SetUpHead


def check_inputs(cfg: Config, training: bool) -> None:
    """Report all missing inputs of a run at once, each with the command that makes it."""
    missing = missing_inputs(cfg, training)
    if len(missing) == 1:
        raise MissingInputError(missing[0], code='config.inputs_missing')
    if missing:
        lines = [f'  {number}. {text}' for number, text in enumerate(missing, 1)]
        raise MissingInputError(
            f'{len(missing)} inputs are missing; make them in this order:\n' + '\n'.join(lines),
            code='config.inputs_missing',
        )


def missing_inputs(cfg: ConfigDict, training: bool) -> list[str]:
    """What a run of this config needs and does not find, each with what makes it, in order.

    Weights, then images (by building the data sets, which read their lists only), then
    descriptions. A test of a checkpoint needs the test images alone.
    """
    lines = _missing_weights(cfg.model.get('backbone') or {}) if training else []
    for part in ('train', 'val', 'test') if training else ('test',):
        loader = cfg.get(f'{part}_dataloader')
        if loader:
            try:
                with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmpretrain')):
                    DATASETS.build(loader['dataset'])
            except FileNotFoundError as error:
                lines.append(str(error))
    described = described_splits(cfg) if training else ()
    split = ' --split all' if len(described) > 1 else ''
    for part in described:
        lines += _missing_descriptions((cfg.get(f'{part}_dataloader') or {}).get('dataset'), split)
    return list(dict.fromkeys(lines))


def described_splits(cfg: ConfigDict) -> tuple[str, ...]:
    """The splits of which training needs descriptions; the head knows."""
    head = cfg.model.get('head') or {}
    kind = head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if not inspect.isclass(kind) or not issubclass(kind, SetUpHead):
        return ()
    return kind.described_splits(head, cfg.get('default_hooks', {}).get('class_means') or {})


def _missing_weights(backbone: dict) -> list[str]:
    name, weights = backbone.get('model_name', ''), backbone.get('pretrained')
    if name.startswith('local-dir:') and not Path(name.removeprefix('local-dir:')).is_dir():
        return [
            f"the model folder '{name.removeprefix('local-dir:')}' does not exist; "
            "model_name='lite0-minilm' needs no folder"
        ]
    if weights and Path(weights).suffix and not Path(weights).exists():
        return [
            f"the weights file '{weights}' does not exist; give model.backbone.pretrained a file "
            "or an open_clip tag such as 'openai', which is downloaded once"
        ]
    return []


def _missing_descriptions(dataset: dict | None, split: str) -> list[str]:
    root = next((part['data_root'] for _, part in parts_of(dataset) if part.get('data_root')), None)
    for _, part in parts_of(dataset):
        if is_type(part, AttachDescriptions):
            root = part.get('data_root') or root
            path = part.get('cache') or (root and Path(root) / 'descriptions.jsonl')
            if path and not Path(path).exists():
                return [
                    f"the descriptions '{path}' are missing; make them with: "
                    f'mmpretrain-lmmreg describe CONFIG{split} --describer {{minigpt4,hf,openai}}'
                ]
    return []
