"""The images of a fit: found, divided once, and written down as a list and a config."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from mmengine.config import Config

from ..clip.configs import model_config, preprocess_config
from ..config import config_folder, load_config
from ..datasets import OwnImages
from ..datasets.files import some_of
from ..datasets.labels import find_classes
from ..datasets.splits import hold_out
from ..errors import InputError
from ..io.files import save_atomic

TEST_FRACTION = 0.2  # of the images, where the data have no test split
Sample = dict[str, Any]


@dataclass
class Images:
    """Training and test images of a fit.

    Args:
        root: Folder of the training images.
        classes: N_c names.
        train, test: Samples with ``rel_path``, ``gt_label``, ``img_path`` and maybe ``group``.
        divided: How the test images came about.
        left_out: Unreadable images and why, by path.
        twice: Test images with the content of a training image.
    """

    root: Path
    classes: tuple[str, ...]
    train: list[Sample]
    test: list[Sample]
    divided: str
    left_out: dict[str, str] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)

    def card(self) -> list[tuple[str, str]]:
        """What is known of the data: names and values."""
        counts = Counter(sample['gt_label'] for sample in self.train)
        most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        groups = {sample['group'] for sample in self.train if sample.get('group')}
        lines = [
            ('images', str(self.root)),
            ('classes', f'{len(self.classes)}: {", ".join(self.classes[:20])}'),
            ('training images', f'{len(self.train)}' + f' in {len(groups)} groups' * bool(groups)),
            ('largest class', f'{self.classes[most]}, {counts[most]}'),
            ('smallest class', f'{self.classes[least]}, {counts[least]}'),
            ('test images', f'{len(self.test)} ({self.divided})' if self.test else 'none'),
        ]
        if self.left_out:
            names = ', '.join(f'{name} ({why})' for name, why in list(self.left_out.items())[:10])
            lines.append(('left out', f'{len(self.left_out)} unreadable: {names}'))
        if self.twice:
            shown = ', '.join(self.twice[:5])
            lines.append(
                ('in two splits', f'{len(self.twice)} test images are also trained on: {shown}')
            )
        return lines


def find_images(
    images: str | Path,
    test: str | Path | None = None,
    list_file: str | Path = '',
    names: str | Path = '',
    group_by: str | None = None,
    seed: int = 0,
) -> Images:
    """Find the images of a fit and divide them.

    Raises:
        InputError: what :class:`OwnImages` raises; a ``group_by`` that is no expression; classes of
            ``test`` that the training images lack.
    """
    root = Path(images).expanduser().resolve()
    common: dict[str, Any] = dict(
        data_root=str(root), ann_file=str(list_file or ''), class_names=str(names or '')
    )
    whole = OwnImages(**common, split='trainval', test_fraction=0.0, **SKIP)
    train, classes = _samples(whole, group_by), tuple(whole.metainfo['classes'])
    left_out = dict(whole.unreadable)
    if bare := set(range(len(classes))) - {sample['gt_label'] for sample in train}:
        shown = some_of([f'{path} ({why})' for path, why in left_out.items()])
        raise InputError(
            f'{root}: no training image of {", ".join(classes[c] for c in sorted(bare))} can be '
            f'read; unreadable are {shown}',
            code='data.untrained_class',
        )
    if test is not None:
        place = str(Path(test).expanduser().resolve())
        other = OwnImages(data_root=place, split='trainval', test_fraction=0.0, **SKIP)
        left_out |= {f'{test}/{path}': why for path, why in other.unreadable.items()}
        divided = f'--test {test}'
        # by label, else by the name that a label was given
        labels = find_classes(common['data_root'], common['ann_file']) if names else classes
        number = {name: i for each in (classes, labels) for i, name in enumerate(each)}
        held = _relabelled(_samples(other, group_by), other.metainfo['classes'], number, test)
    else:
        try:
            given = OwnImages(**common, split='test', test_fraction=0.0, **SKIP)
            held, divided = _samples(given, group_by), 'as the images are divided'
            left_out |= given.unreadable
        except InputError as error:
            if error.code not in ('data.no_test_split', 'data.too_few_for_test'):
                raise
            train, held = hold_out(train, TEST_FRACTION, f'test {seed}')
            divided = f'a fifth of each class, drawn by seed {seed}'
    return Images(root, classes, train, held, divided, left_out, _in_both(train, held))


SKIP: dict[str, Any] = dict(skip_unreadable=True)


def _samples(dataset: Any, group_by: str | None) -> list[Sample]:
    try:
        pattern = re.compile(group_by) if group_by else None
    except re.error as error:
        raise InputError(
            f'--group-by {group_by}: not a regular expression ({error})', code='fit.bad_group_by'
        ) from None
    samples = []
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        sample = {key: info[key] for key in ('rel_path', 'gt_label', 'img_path')}
        group = info.get('group')
        if pattern is not None and (match := pattern.search(info['rel_path'])):
            group = match[1] if pattern.groups else match[0]
        samples.append(sample | ({'group': group} if group else {}))
    return samples


def _relabelled(
    samples: list[Sample], found: tuple[str, ...], number: Mapping[str, int], test: str | Path
) -> list[Sample]:
    unknown = sorted(set(found) - set(number))
    if unknown:
        raise InputError(
            f'--test {test} has classes that the training images lack: {", ".join(unknown[:5])}; '
            'name its folders like those of the training images',
            code='fit.other_classes',
        )
    return [{**sample, 'gt_label': number[found[sample['gt_label']]]} for sample in samples]


def _in_both(train: list[Sample], test: list[Sample]) -> list[str]:
    if not test:
        return []
    known = {_content(sample) for sample in train}
    return [sample['rel_path'] for sample in test if _content(sample) in known]


def _content(sample: Sample) -> bytes:
    return hashlib.sha1(Path(sample['img_path']).read_bytes()).digest()


def write_data(images: Images, out: Path, model: str, pretrained: str | None) -> Path:
    """Write ``images.csv``, ``test.txt`` and ``data.py``, the config of these images.

    Args:
        images: What :func:`find_images` found.
        out: Folder of the fit.
        model: Of ``model.backbone.model_name``.
        pretrained: Its weights.

    Returns:
        The config, which methods are put on.
    """
    rows = [(s['rel_path'], s['gt_label'], 'train', s.get('group', '')) for s in images.train]
    table = pd.DataFrame(rows, columns=['path', 'label', 'split', 'group'])
    with save_atomic(out / 'images.csv') as file:
        file.write(table.to_csv(index=False).encode())
    with save_atomic(out / 'test.txt') as file:
        lines = (f'{s["img_path"]} {s["gt_label"]}\n' for s in images.test)
        file.write(''.join(lines).encode(errors='surrogateescape'))
    with _environment(
        CUSTOM_ROOT=str(images.root), CUSTOM_LIST=str((out / 'images.csv').resolve())
    ):
        cfg = load_config(config_folder() / 'lmmreg_custom.py')
    _set_model(cfg, model, pretrained)
    dataset = cfg.train_dataloader.dataset
    names = out / 'names.json'  # a file, since mmengine writes no quotes in a config's keys
    with save_atomic(names) as file:
        file.write(json.dumps(dict(enumerate(images.classes))).encode())
    dataset.update(class_names=str(names.resolve()), split='train', test_fraction=0.0)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    if images.test:
        cfg.test_dataloader.dataset = dict(
            type='CustomDataset',
            data_root='',
            data_prefix='/',
            ann_file=str((out / 'test.txt').resolve()),
            metainfo=dict(classes=list(images.classes)),
            pipeline=cfg.test_pipeline,
        )
    else:  # its images would be training images
        for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):
            cfg.pop(key)
    path = out / 'data.py'
    with save_atomic(path) as file:
        file.write(cfg.pretty_text.encode())
    return path


def _set_model(cfg: Config, model: str, pretrained: str | None) -> None:
    described, pixels = model_config(model), preprocess_config(model, pretrained)
    backbone = cfg.model.backbone
    backbone.model_name, backbone.pretrained = model, pretrained
    cfg.model.head.in_channels = described['embed_dim']
    for key in ('mean', 'std'):
        cfg.model.data_preprocessor[key] = [255 * value for value in pixels[key]]
    size = described['vision_cfg'].get('image_size', 224)
    for pipeline in (cfg.train_dataloader.dataset.pipeline, cfg.test_pipeline):
        for transform in pipeline:
            if transform.type in ('ResizeEdge', 'CenterCrop'):
                transform['scale' if transform.type == 'ResizeEdge' else 'crop_size'] = size


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
