"""Memory of a shuffled epoch over a large table: ``python -m dev.benchmarks.memory``.

A process of its own, since what counts is the most that it ever had resident.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from mmengine.runner import Runner
from mmpretrain.registry import DATASETS

from mmpretrain_lmmreg.clip.backbone import CPU_BATCH
from mmpretrain_lmmreg.features.keys import feature_cache_key, file_key, row_key
from mmpretrain_lmmreg.io.checksums import checksum
from mmpretrain_lmmreg.io.table import VectorTable, chunk_metadata

from .measure import Row
from .train import TOWER, made_up_config

CHUNK = 62_500
LIMIT = 2.0  # GiB


def memory_row(folder: Path, rows: int = 1_000_000) -> Row:
    """``table_memory_gib``: the most that a shuffled epoch over ``rows`` features has resident."""
    command = [sys.executable, '-m', __name__, str(folder), str(rows)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return Row(
        'table_memory_gib',
        f'resident GiB of a shuffled epoch over {rows} × {TOWER["width"]} in float16',
        result['gib'],
        LIMIT,
        result['gib'] / LIMIT,
        1,
        {'every batch was read from disk': result['on_disk']},
        at_least=False,
    )


def sparse_chunk(path: Path, keys: list[str], dim: int) -> None:
    """A chunk of a table with float16 rows of zeros, which takes no room on disk."""
    size = len(keys) * dim * 2
    header = dict(
        __metadata__=chunk_metadata(keys, [len(keys), dim], 'F16', checksum(bytes(size))),
        rows=dict(dtype='F16', shape=[len(keys), dim], data_offsets=[0, size]),
    )
    text = json.dumps(header).encode()
    with open(path, 'wb') as file:
        file.write(len(text).to_bytes(8, 'little') + text)
        file.truncate(file.tell() + size)


def peak_gib() -> float:
    """The most that this process ever had resident, in GiB, as Linux tells.

    ``getrusage`` would count what the process that started this one had, too.
    """
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) / 2**20


def shuffled_epoch(folder: Path, rows: int) -> dict:
    """Train an epoch on made-up features; the peak of this process, in GiB."""
    cfg = made_up_config(folder, rows, classes=1000, epochs=1, fused=True)
    cfg.train_dataloader.batch_size = 1024
    runner = Runner.from_cfg(cfg)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    table = VectorTable('features', feature_cache_key(runner.model, dataset))
    for start in range(0, rows, CHUNK):
        infos = map(dataset.get_data_info, range(start, min(rows, start + CHUNK)))
        keys = [row_key(file_key(info['img_path'], CPU_BATCH), '') for info in infos]
        sparse_chunk(table.folder / f'{start:07d}-0-{0:032x}.safetensors', keys, TOWER['width'])
    del table
    runner.model.head.alpha = 0  # without class means
    runner.train()
    on_disk = hasattr(runner.train_dataloader.dataset.features, 'chunks')
    return dict(gib=peak_gib(), on_disk=on_disk)


if __name__ == '__main__':
    os.environ['LMMREG_CACHE'] = str(Path(sys.argv[1]) / 'cache')
    print(json.dumps(shuffled_epoch(Path(sys.argv[1]) / 'run', int(sys.argv[2]))))
