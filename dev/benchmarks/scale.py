"""What a million images cost, and 10,000 classes: ``python -m dev.benchmarks.scale``.

Each stage at each size is a process of its own, whose CPU seconds and memory count. Image files are
empty, features and descriptions made up, and the text tower gives ones; all else is the package's.
"""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS

from mmpretrain_lmmreg.clip.backbone import CPU_BATCH
from mmpretrain_lmmreg.datasets import OwnImages
from mmpretrain_lmmreg.descriptions import AttachDescriptions, DescriptionStore
from mmpretrain_lmmreg.descriptions.lines import encode
from mmpretrain_lmmreg.evidence.comparison import comparison_of
from mmpretrain_lmmreg.evidence.report import render
from mmpretrain_lmmreg.evidence.runs import load_methods
from mmpretrain_lmmreg.features.keys import feature_cache_key, file_key, find_rows, row_key
from mmpretrain_lmmreg.heads.inputs import HeadInputs
from mmpretrain_lmmreg.hooks.record import count_described, join_rows
from mmpretrain_lmmreg.hooks.run_folder import save_predictions, save_run
from mmpretrain_lmmreg.io.table import VectorTable
from mmpretrain_lmmreg.text.class_sentences import collect_descriptions
from mmpretrain_lmmreg.text.embedding import embed_class_means

from .measure import Row
from .memory import CHUNK, peak_gib, sparse_chunk
from .train import MadeUpImages, made_up_config

IMAGES = (10_000, 100_000, 1_000_000)
CLASSES = (100, 1_000, 10_000)
TEST_IMAGES = 10_000
WIDTH = 64  # of features and text embeddings
BATCH = 1024

Work = Callable[[], bool]


def names_of(size: int) -> list[str]:
    """Paths of images, at most 1,000 classes of ten or more."""
    classes = min(1000, size // 10)
    return [f'class_{i % classes:03d}/{i:07d}.jpg' for i in range(size)]


def image_files(folder: Path, size: int) -> Path:
    """A folder of empty image files, and the list of them beside it, made once."""
    root = folder / f'images-{size}'
    if not root.exists():
        names = names_of(size)
        for label in {name[:9] for name in names}:
            (root / label).mkdir(parents=True)
        for name in names:
            (root / name).touch()
        with open(root / 'list.csv', 'w', newline='') as file:
            csv.writer(file).writerows([('path', 'label'), *((name, name[:9]) for name in names)])
    return root


def folders(folder: Path, size: int) -> Work:
    """Scan class folders."""
    root = str(image_files(folder, size))
    return lambda: len(OwnImages(root, test_fraction=0.0)) == size


def listed(folder: Path, size: int) -> Work:
    """Read a list, and look for its files."""
    root = str(image_files(folder, size))
    return lambda: len(OwnImages(root, ann_file='list.csv', test_fraction=0.0)) == size


def keys(folder: Path, size: int) -> Work:
    """Make the keys of images' features."""
    root = image_files(folder, size)
    paths = [f'{root}/{name}' for name in names_of(size)]
    return lambda: len({file_key(path, CPU_BATCH) for path in paths}) == size


def missing_features(folder: Path, size: int) -> Work:
    """Open a table that holds nine of ten images, and find those that it lacks."""
    root = image_files(folder, size)
    wanted = {i: file_key(f'{root}/{name}', CPU_BATCH) for i, name in enumerate(names_of(size))}
    there = [row_key(key, f'{i:032x}') for i, key in wanted.items() if i % 10]
    fill(VectorTable('features', {}), there, WIDTH)
    return lambda: (
        find_rows(VectorTable('features', {}), wanted).keys() == {i for i in wanted if i % 10}
    )


def fill(table: VectorTable, names: Sequence[str], width: int) -> None:
    """Add rows of zeros, which take no room on disk."""
    for start in range(0, len(names), CHUNK):
        path = table.folder / f'{start:07d}-0-{0:032x}.safetensors'
        sparse_chunk(path, names[start : start + CHUNK], width)


def write_descriptions(path: Path, described: Sequence[int]) -> None:
    """Ten descriptions of each image, none like another."""
    with open(path, 'wb') as file:
        for i in described:
            texts = [f'Sentence {k} about image {i:07d}, with some more words.' for k in range(10)]
            record = dict(image=f'{i}.jpg', prompt='Describe it.', reply='\n'.join(texts))
            file.write(encode(dict(record, descriptions=texts, status='ok')))


def missing_descriptions(folder: Path, size: int) -> Work:
    """Open the descriptions of nine of ten images, and find those without any."""
    path, names = folder / f'nine-of-ten-{size}.jsonl', [f'{i}.jpg' for i in range(size)]
    described = [i for i in range(size) if i % 10]
    write_descriptions(path, described)
    labels = [i % 1000 for i in range(size)]
    return lambda: (
        count_described(DescriptionStore(path), names, labels)['described'] == len(described)
    )


def class_means(folder: Path, size: int) -> Work:
    """Collect ten descriptions of each image, embed them and average them by class."""
    classes = min(1000, size // 10)
    path = folder / f'descriptions-{size}.jsonl'
    write_descriptions(path, range(size))
    dataset = MadeUpImages(size, classes, [AttachDescriptions(str(path))])
    tower = SimpleNamespace(
        fingerprint='ones',
        dim=WIDTH,
        count_cut=lambda texts: 0,
        encode=lambda texts: torch.ones(len(texts), WIDTH),
    )

    def work() -> bool:
        means = embed_class_means(*collect_descriptions(dataset, classes), tower, normalize=False)
        return bool((means == 1).all())

    return work


class DescribeStart(Hook):
    """Class means and what the log says of them, without a text tower."""

    def before_train_epoch(self, runner: Runner) -> None:
        head = runner.model.head
        head.set_class_means(torch.randn(head.num_classes, head.in_channels))
        head.describe_start(HeadInputs(runner.model, [runner.train_loop], ['{}']))


def epoch(folder: Path, size: int, classes: int = 100) -> Work:
    """Find the table's rows, and train an epoch of 100 classes with the regulariser."""
    cfg = made_up_config(folder / f'run-{size}-{classes}', size, classes, 1, True, WIDTH)
    cfg.train_dataloader.batch_size = BATCH
    runner = Runner.from_cfg(cfg)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    paths = (dataset.get_data_info(index)['img_path'] for index in range(size))
    names = [row_key(file_key(path, CPU_BATCH), '') for path in paths]
    fill(VectorTable('features', feature_cache_key(runner.model, dataset)), names, WIDTH)
    runner.register_hook(DescribeStart())

    def work() -> bool:
        runner.train()
        return runner.iter == -(-size // BATCH)

    return work


def classes_trained(folder: Path, size: int) -> Work:
    """Train an epoch on ten images of each of ``size`` classes."""
    return epoch(folder, 10 * size, size)


def classes_compared(folder: Path, size: int) -> Work:
    """Keep the results of two runs, 10,000 test images each, and compare them."""
    infos = [dict(img_path=f'/{i}.jpg', rel_path=f'{i}.jpg') for i in range(TEST_IMAGES)]
    runs = [folder / f'{name}-{size}' for name in ('one', 'other')]

    def rows(seed: int) -> dict[str, tuple]:
        rng = np.random.default_rng(seed)
        probs = rng.random((TEST_IMAGES, size), np.float32)
        labels = range(TEST_IMAGES)
        probs[labels, rng.permutation(size)[np.arange(TEST_IMAGES) % size]] += 1
        probs /= probs.sum(1, keepdims=True)
        return {f'/{i}.jpg': (i % size, p) for i, p in enumerate(probs)}

    def work() -> bool:
        for seed, run in enumerate(runs):
            save_predictions(run, join_rows(rows(seed), infos, 'test'))
            save_run(run, dict(method=run.name, seed=0, epochs=[], finished=True))
        methods = load_methods(runs)
        comparison = comparison_of(methods, runs[0].name)
        return len(comparison['rows']) == 2 and '</html>' in render(comparison, methods)

    return work


BY_IMAGES = (folders, listed, keys, missing_features, missing_descriptions, class_means, epoch)
BY_CLASSES = (classes_trained, classes_compared)
STAGES = {stage.__name__: stage for stage in (*BY_IMAGES, *BY_CLASSES)}


def scale_rows(folder: Path) -> Iterator[Row]:
    """``scale_STAGE`` and ``scale_STAGE_gib``: growth at the last size, 1 where it is linear."""
    for stages, sizes in ((BY_IMAGES, IMAGES), (BY_CLASSES, CLASSES)):
        for stage in stages:
            found = [in_process(stage.__name__, folder, size) for size in sizes]
            yield from growth_rows(stage, sizes, found)


def in_process(stage: str, folder: Path, size: int) -> dict:
    """A stage's figures, see :func:`figures_of`, from a process of its own."""
    command = [sys.executable, '-m', __name__, stage, str(folder), str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def growth_rows(stage: Callable, sizes: Sequence[int], found: Sequence[dict]) -> Iterator[Row]:
    """CPU seconds, and memory, at the last size beside as many times those of the one before."""
    times = sizes[-1] / sizes[-2]
    at = ', '.join(f'{size:,}' for size in sizes)
    for ending, what, key, most in (('', 'CPU s', 'cpu', 1.5), ('_gib', 'GiB', 'gib', 1.2)):
        figures = [each[key] for each in found]
        shown = ', '.join(f'{figure:.3g}' for figure in figures)
        clock = f' ({found[-1]["seconds"]:.3g} s on the clock)' * (key == 'cpu')
        yield Row(
            f'scale_{stage.__name__}{ending}',
            f'{stage.__doc__.rstrip(".")}: {what} {shown} at {at}{clock}, beside {times:g} times '
            'the one before',
            figures[-1],
            times * figures[-2],
            figures[-1] / (times * figures[-2]),
            most,
            {'result': all(each['right'] for each in found)},
            at_least=False,
        )


def figures_of(stage: str, folder: Path, size: int) -> dict:
    """``seconds``, ``cpu``, ``gib`` above what the imports take, and whether it is ``right``."""
    folder.mkdir(parents=True, exist_ok=True)
    before = peak_gib()
    work = STAGES[stage](folder, size)
    started, cpu = time.perf_counter(), time.process_time()
    right = work()
    spent = dict(seconds=time.perf_counter() - started, cpu=time.process_time() - cpu)
    return dict(spent, gib=peak_gib() - before, right=right)


if __name__ == '__main__':
    name, place, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.environ['LMMREG_CACHE'] = str(place / f'cache-{name}-{number}')
    print(json.dumps(figures_of(name, place, number)))
