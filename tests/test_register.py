"""Registering adds to registries, and replaces nothing in other libraries.

A process of its own imports them, notes what each module and class holds, registers, and compares.
"""

import importlib
import subprocess
import sys
import warnings
from typing import Any

PACKAGES = ('mmengine', 'mmcv', 'mmpretrain', 'open_clip', 'timm', 'torchvision')
ALSO = ('torch', 'torch.hub', 'torch.serialization', 'torch._weights_only_unpickler', 'warnings')
FIRST = (
    *('mmengine.runner', 'mmengine.hooks', 'mmengine.evaluator', 'mmengine.visualization'),
    *('mmengine.optim', 'mmengine.model', 'mmengine.dataset', 'mmengine.device', 'mmengine.infer'),
    *('mmcv.transforms', 'mmcv.cnn.bricks.transformer', 'mmpretrain.apis', 'mmpretrain.engine'),
    *('mmpretrain.datasets', 'mmpretrain.models', 'mmpretrain.evaluation', 'mmpretrain.structures'),
    *('mmpretrain.visualization', 'mmpretrain.registry', 'open_clip', 'timm', 'torchvision'),
)

# What version 0.1 replaced when it was imported, and what else it could have: how that is seen, and
# how it is done where not by an assignment
REPLACED = """
mmengine.runner.save_checkpoint
mmengine.runner.checkpoint.save_checkpoint
mmengine.runner.runner.save_checkpoint
mmengine.runner.runner.find_latest_checkpoint
mmengine.runner.checkpoint.find_latest_checkpoint
mmengine.runner.checkpoint.load_url
mmengine.runner.checkpoint.CheckpointLoader._schemes['']
mmengine.runner.checkpoint.CheckpointLoader._schemes['open-mmlab://']
mmengine.runner.checkpoint.CheckpointLoader._schemes['ours://']
mmengine.config.config.Config.pretty_text
mmengine.fileio.file_client.print_log
mmengine.evaluator.metric.DumpResults.default_prefix
mmengine.runner.runner.Runner.load_checkpoint
open_clip.factory._MODEL_CONFIGS['demo-clip']
open_clip.pretrained._PRETRAINED['demo-clip']
open_clip.pretrained._PRETRAINED['ViT-L-14']['demo']
torch.load
"""
OTHERWISE = {
    'warnings.filters[:]': "warnings.filterwarnings('ignore', 'Fail to import')",
    'torch._weights_only_unpickler._marked_safe_globals_set[:]': (
        'torch.serialization.add_safe_globals([print])'
    ),
    "mmpretrain.registry.HOOKS['EMAHook']": (
        "mmpretrain.registry.HOOKS.register_module('EMAHook', force=True, module=dict)"
    ),
    "mmpretrain.registry.MODELS['ResNet']": (
        "mmpretrain.registry.MODELS.register_module('ResNet', force=True, module=dict)"
    ),
}


def snapshot() -> dict[str, Any]:
    """What the modules hold, their classes, and their tables to a depth of two."""
    seen: dict[str, Any] = {'warnings.filters': list(warnings.filters)}
    for name, module in list(sys.modules.items()):
        if module is None or name.partition('.')[0] not in PACKAGES and name not in ALSO:
            continue
        for key, value in list(vars(module).items()):
            note(seen, f'{name}.{key}', value, depth=2)
            if isinstance(value, type) and value.__module__ == name:
                for attribute, each in list(vars(value).items()):
                    note(seen, f'{name}.{key}.{attribute}', each, depth=2)
    return seen


def note(seen: dict[str, Any], name: str, value: Any, depth: int) -> None:
    """Note an object, and of a table or a registry what it holds."""
    from mmengine.registry import Registry

    seen[name] = value
    if depth and isinstance(value, Registry):
        value = value.module_dict
    if depth and isinstance(value, dict) and not name.endswith(('__builtins__', '_buffers')):
        for key, each in list(value.items()):
            note(seen, f'{name}[{key!r}]', each, depth - 1)
    elif isinstance(value, list | set) and depth:
        seen[f'{name}[:]'] = list(value)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names that are other objects now, gone, or new; lists and sets by what they hold."""

    def differs(name: str) -> bool:
        if name not in before or name not in after:
            return True
        if name.endswith('[:]') or name == 'warnings.filters':
            ours, theirs = before[name], after[name]
            return len(ours) != len(theirs) or any(
                a is not b for a, b in zip(ours, theirs, strict=True)
            )
        return before[name] is not after[name]

    return [name for name in {**before, **after} if differs(name)]


def is_added(name: str, value: Any) -> bool:
    """Whether this is a component of ours in a registry, and nothing stood there before."""
    return getattr(value, '__module__', '').startswith('mmpretrain_lmmreg') and name.endswith(']')


def main() -> None:
    """Compare before and after registering; then see that each replacement would be noticed."""
    from mmpretrain_lmmreg.torchvision_ops import define_missing_torchvision_ops

    define_missing_torchvision_ops()  # the first exception: torchvision cannot be imported else
    for name in FIRST:
        importlib.import_module(name)
    before, modules = snapshot(), set(sys.modules)
    from mmpretrain_lmmreg import compat, register

    register.register_all_modules(init_default_scope=False)
    after = snapshot()
    found = [
        name
        for name in differences(before, after)
        if not (name not in before and is_added(name, after[name]))
    ]
    if compat.check_mm_packages() == 'openmmlab':  # the second
        found = [name for name in found if '_safe_globals' not in name]
    assert not found, found
    new = {name for name in set(sys.modules) - modules if name.partition('.')[0] in PACKAGES}
    assert not new, f'add to FIRST, so that they are compared: {sorted(new)}'
    statements = {name: f'{name} = print' for name in REPLACED.split('\n')[1:-1]} | OTHERWISE
    for statement in statements.values():
        exec(statement, dict(sys.modules))
    unnoticed = statements.keys() - differences(after, snapshot())
    assert not unnoticed, unnoticed
    print('nothing is replaced')


def test_registering_replaces_nothing():
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith('nothing is replaced\n'), done.stderr


if __name__ == '__main__':
    main()
