"""Accuracy against the number of described images of each class; used by described.sh.

python dev/described.py prepare OUT: descriptions files of 1, 2, 4, ... images of each class, five
choices each, and configs that train with them.
python dev/described.py table OUT: the figures of what has been trained, as OUT/table.md and .json.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

from mmpretrain_lmmreg.config import config_folder, load_config
from mmpretrain_lmmreg.describe.convergence import choose
from mmpretrain_lmmreg.describe.tasks import ConfigImages
from mmpretrain_lmmreg.describe.zero_shot_eval import embed_by_image, image_embeddings, text_tower
from mmpretrain_lmmreg.descriptions import DescriptionStore
from mmpretrain_lmmreg.descriptions.lines import encode
from mmpretrain_lmmreg.io.files import save_atomic
from mmpretrain_lmmreg.text.class_means import nearest_mean_accuracy

DATA = {'demo': 'lmmreg_demo.py', 'bar': 'lmmreg_bar_lite0.py'}  # of BAR the described images
COUNTS = (1, 2, 4, 8, 16, 32, 'all')
SEEDS = range(5)
METHODS = ('lmmreg', 'mean_start_descriptions', 'zero_shot_descriptions')
WITHOUT = ('finetune', 'mean_start')  # which read no descriptions: what to beat
NEAREST = 'nearest_class_mean'

CONFIG = """\
_base_ = {base!r}
method = {method!r}
only = dict(dataset=dict(described_only=True))
train_dataloader = dict(dataset=dict(described_only=True{pipeline}))
val_dataloader = only
test_dataloader = only
"""
PIPELINE = """, pipeline=[
    *_base_.pixels,
    dict(type='AttachDescriptions', missing='warn', cache={cache!r}),
    dict(type='PackInputs'),
]"""


def load(data: str) -> Config:
    """A data set's config, cut down to its described images."""
    config = load_config(config_folder() / DATA[data], None)
    for part in ('train', 'val', 'test'):
        config[f'{part}_dataloader'].dataset.described_only = True
    return config


def limit(count: int | str) -> int:
    """Images of each class."""
    return 10**9 if count == 'all' else int(count)


def prepare(out: Path) -> None:
    """Write descriptions files and configs."""
    for data in DATA:
        config = load(data)
        images = ConfigImages(config, 'train')
        store = DescriptionStore(images.descriptions_file(config))
        prompt = store.prompts[0]
        for seed in SEEDS:
            for count in COUNTS:
                cache = out.resolve() / 'parts' / f'{data}-{count}-{seed}.jsonl'
                chosen = [] if cache.is_file() else choose(images, limit(count), seed)
                records = [store.record(task.image, prompt) for task in chosen]
                if records:
                    with save_atomic(cache) as file:
                        file.writelines(encode(record) for record in records if record)
                for method in METHODS:
                    write_config(out, data, method, count, seed, cache)
            for method in WITHOUT:
                write_config(out, data, method, 'none', seed, None)


def write_config(out: Path, data: str, method: str, count, seed: int, cache: Path | None) -> None:
    """A config that trains one method with one descriptions file."""
    folder = config_folder()
    base = folder / DATA[data] if method == 'lmmreg' else folder / 'methods' / f'{method}.py'
    text = CONFIG.format(
        base=str(base.resolve()),
        method=f'{method}-{count}',
        pipeline=PIPELINE.format(cache=str(cache)) if cache else '',
    )
    with save_atomic(out / 'configs' / f'{data}-{seed}' / f'{method}-{count}.py') as file:
        file.write(text.encode())


def nearest(data: str) -> dict[str, list[float]]:
    """Accuracy of the nearest class mean, centred, by count; one for each seed."""
    config = load(data)
    images = list(ConfigImages(config, 'train'))
    store = DescriptionStore(ConfigImages(config, 'train').descriptions_file(config))
    texts = [store.get(task.image, store.prompts[0]) or [] for task in images]
    means, sizes = embed_by_image(texts, text_tower(config, None))
    tests = list(ConfigImages(config, 'test'))
    x, truth = image_embeddings(config, 'test', tests), torch.tensor([t.label for t in tests])
    centre = image_embeddings(config, 'test', images).mean(0)
    labels, row = np.array([task.label for task in images]), {t: i for i, t in enumerate(images)}
    found = defaultdict(list)
    for count in COUNTS:
        for seed in SEEDS:
            chosen = [row[task] for task in choose(images, limit(count), seed)]
            one_hot = np.eye(labels.max() + 1)[labels[chosen]] * sizes[chosen, None]
            classes = torch.from_numpy(one_hot.T @ means[chosen] / one_hot.sum(0)[:, None])
            found[str(count)].append(nearest_mean_accuracy(x, truth, classes.float(), centre))
    return found


def table(out: Path) -> None:
    """Collect the accuracies after the last epoch, and print their means and spreads."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for data in DATA:
        cache = out / f'{data}-nearest.json'
        if not cache.is_file():
            with save_atomic(cache) as file:
                file.write(json.dumps(nearest(data)).encode())
        found[data] = {NEAREST: json.loads(cache.read_text())}
        for path in sorted(out.glob(f'runs/{data}-*/runs/*/*/seed*/results/run.json')):
            run = json.loads(path.read_text())
            method, _, count = run['method'].rpartition('-')
            if run['finished']:
                accuracies = found[data].setdefault(method, {}).setdefault(count, [])
                accuracies.append(run['splits']['test']['accuracy'])
    columns = ['none', *map(str, COUNTS)]
    lines = []
    for data, methods in found.items():
        lines += [f'| {data} | ' + ' | '.join(columns) + ' |', '|---' * (len(columns) + 1) + '|']
        for method, by_count in methods.items():
            cells = [shown(by_count.get(count, [])) for count in columns]
            lines.append(f'| `{method}` | ' + ' | '.join(cells) + ' |')
        lines.append('')
    print('\n'.join(lines))
    for name, text in (('table.md', '\n'.join(lines)), ('table.json', json.dumps(found, indent=1))):
        with save_atomic(out / name) as file:
            file.write(text.encode())


def shown(accuracies: list[float]) -> str:
    """Mean and sample standard deviation in per cent, and how many runs where not all are there."""
    if not accuracies:
        return '–'
    mean = f'{100 * np.mean(accuracies):.1f}'
    if len(accuracies) > 1:
        mean += f' ± {100 * np.std(accuracies, ddof=1):.1f}'
    return mean if len(accuracies) == len(SEEDS) else f'{mean} ({len(accuracies)})'


if __name__ == '__main__':
    {'prepare': prepare, 'table': table}[sys.argv[1]](Path(sys.argv[2]))
