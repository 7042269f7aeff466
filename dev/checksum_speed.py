"""What checksums cost, beside the same work without them.

python dev/checksum_speed.py [parts | runs]

parts: UCF-101's numbers, 9,537 training images and a table of as many rows of 1,024 float32.
runs: a training run of the demo, table and checkpoints included, and describing 2,000 images by a
describer that answers at once.
"""

import hashlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'tests' / 'describe')]

import hostile
import torch
from crashing import in_child
from describing import Scripted, describe, make_images
from mmengine.config import Config

from mmpretrain_lmmreg.cli.upstream import build_runner
from mmpretrain_lmmreg.clip import weights
from mmpretrain_lmmreg.config import config_folder
from mmpretrain_lmmreg.datasets import demo
from mmpretrain_lmmreg.datasets.pictures import read_rgb
from mmpretrain_lmmreg.io import checksums
from mmpretrain_lmmreg.io import table as tables
from mmpretrain_lmmreg.io.checksums import file_checksum

IMAGES, DIM, CHUNK = 9_537, 1024, 1024


def seconds(function, repeats: int = 5) -> float:
    """The shortest of some runs, in seconds of this process's CPU time."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        function()
        times.append(time.process_time() - started)
    return min(times)


def parts() -> None:
    """Print what each checksum costs."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ['LMMREG_CACHE'] = folder
        rows = torch.randn(IMAGES, DIM)
        keys = [f'/data/ucf101/frames/{i}.jpg' for i in range(IMAGES)]
        for start in range(0, IMAGES, CHUNK):
            part = slice(start, start + CHUNK)
            tables.VectorTable('speed', {}).add(keys[part], rows[part])

        def read() -> None:
            tables.VectorTable('speed', {}).stored(keys).in_memory()

        with_sums = seconds(read)
        tables.VectorTable._check = lambda *_: None
        without = seconds(read)
        size = rows.nbytes / 1e9
        print(f'table of {size:.3f} GB read in {with_sums:.3f} s, without checks {without:.3f} s')
        files = list(tables.VectorTable('speed', {}).folder.glob('*.safetensors'))
        checked = seconds(lambda: [file_checksum(file) for file in files])
        print(f'checked at {size / checked:.1f} GB/s, reading from disk included')
    jpeg = hostile.encoded(hostile.noise(size=(320, 240)), 'JPEG', quality=95)
    hashed = seconds(lambda: hashlib.sha256(jpeg).hexdigest(), 50)
    decoded = seconds(lambda: read_rgb(io.BytesIO(jpeg)), 50)
    times = f'hash {hashed * 1e3:.3f} ms, decode {decoded * 1e3:.2f} ms'
    print(f'image of {len(jpeg) / 1e3:.0f} kB: {times}')


def without_checksums() -> None:
    """Let this process write and compare none."""
    tables.file_checksum = lambda *_: f'{0:08x}'
    tables.checksum = checksums.checksum = lambda _: f'{0:08x}'
    weights.check_file = demo.check_file = lambda _: None


def train(folder: Path) -> None:
    """A run of 100 epochs that keeps a checkpoint every ten, into an empty cache."""
    os.environ['LMMREG_CACHE'] = str(folder / 'cache')
    cfg = Config.fromfile(Path(config_folder(), 'lmmreg_demo.py'))
    cfg.work_dir, cfg.log_level = str(folder), 'ERROR'
    cfg.default_hooks.checkpoint.interval = 10
    build_runner(cfg).train()


def describe_images(folder: Path) -> None:
    """2,000 images, then a resumed run that passes over them."""
    tasks = make_images(folder, 2000, 0)
    for _ in range(2):
        describe(folder / 'd.jsonl', tasks, Scripted())


def cpu_seconds(work: Callable[[], None]) -> float:
    """CPU time of a child process."""
    _, status, usage = os.wait4(in_child(work), 0)
    assert status == 0
    return usage.ru_utime + usage.ru_stime


def runs(repeats: int = 7) -> None:
    """Print the CPU time of whole runs, with and without in turns."""
    for run in (train, describe_images):

        def plain(run: Callable = run) -> None:
            without_checksums()
            with tempfile.TemporaryDirectory() as folder:
                run(Path(folder))

        def checked(run: Callable = run) -> None:
            with tempfile.TemporaryDirectory() as folder:
                run(Path(folder))

        pairs = [(cpu_seconds(checked), cpu_seconds(plain)) for _ in range(repeats)]
        with_sums, without = (min(times) for times in zip(*pairs, strict=True))
        print(f'{run.__name__}: {with_sums:.2f} s of CPU, without checksums {without:.2f} s')


if __name__ == '__main__':
    torch.set_num_threads(1)
    for name in sys.argv[1:] or ('parts', 'runs'):
        {'parts': parts, 'runs': runs}[name]()
