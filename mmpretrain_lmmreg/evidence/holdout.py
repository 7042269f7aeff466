"""A config that validates on held-out training images and cannot see test."""

from collections.abc import Iterator

from mmengine.config import Config

from ..errors import InputError

# settings of a training data set that its held-out images do not share
OF_TRAINING = ('pipeline', 'split', 'shots', 'shot_seed', 'indices', 'test_mode')


def hold_out_validation(cfg: Config, fraction: float) -> Config:
    """The config with its validation on held-out training images, and without its test data.

    A variable ``selection`` of the config is merged into it, where there is one. Otherwise the
    train and val data sets' ``split`` becomes 'train' and 'val' and their ``val_fraction`` the
    given one; the data sets here divide by class, and never a group. Where there is one training
    data set, validation images are of that one, whatever the test images are of. Only the last
    epoch is validated, as only it counts.

    Raises:
        InputError: the data sets have no ``split`` argument, or test images would be seen.
    """
    test = [without_pipeline(leaf) for leaf in leaves(cfg.get('test_dataloader'))]
    changes = cfg.pop('selection', None)
    if changes is not None:
        cfg.merge_from_dict(changes.to_dict())
    else:
        for part in ('train', 'val'):
            for leaf in leaves(cfg[f'{part}_dataloader']):
                if 'split' not in leaf:
                    raise InputError(
                        f'{cfg.method}: {leaf["type"]} has no split argument, so it is not known '
                        'what to choose settings on; give the config a variable selection=dict('
                        'train_dataloader=..., val_dataloader=...)',
                        code='evidence.no_validation_split',
                    )
                leaf.update(split=part, val_fraction=fraction)
        _validate_on(cfg)
    for leaf in leaves(cfg.val_dataloader):
        if leaf.get('split') == 'test' or without_pipeline(leaf) in test:
            raise InputError(
                f'{cfg.method}: selection would validate on test images; its '
                'val_dataloader must be another than test_dataloader',
                code='evidence.selects_on_test',
            )
    for name in ('test_dataloader', 'test_evaluator', 'test_cfg'):
        cfg[name] = None
    if 'max_epochs' in cfg.train_cfg:
        cfg.train_cfg.val_interval = cfg.train_cfg.max_epochs
    return cfg


def _validate_on(cfg: Config) -> None:
    """Take the validation images from the one training data set, if it is one of the same type."""
    train, val = (list(leaves(cfg[f'{part}_dataloader'])) for part in ('train', 'val'))
    if len(train) == len(val) == 1 and train[0]['type'] == val[0]['type']:
        own = {key: value for key, value in train[0].items() if key not in OF_TRAINING}
        val[0].update(own, split='val')


def leaves(loader: dict | None) -> Iterator[dict]:
    """The data set configs inside any Concat-, Repeat- and ClassBalancedDataset."""
    stack = [loader['dataset']] if loader else []
    while stack:
        dataset = stack.pop()
        inner = dataset.get('datasets') or [dataset.get('dataset')]
        if inner == [None]:
            yield dataset
        else:
            stack.extend(inner)


def without_pipeline(dataset: dict) -> dict:
    """A data set's settings that say which images it has."""
    return {key: value for key, value in dataset.items() if key != 'pipeline'}
