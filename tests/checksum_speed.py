"""What checksums cost: ``python tests/checksum_speed.py``, beside the same work without them.

UCF-101's numbers: 9,537 training images and a table of as many rows of 1,024 float32.
"""

import hashlib
import io
import os
import tempfile
import time

import hostile
import torch

from mmpretrain_lmmreg import table as tables
from mmpretrain_lmmreg.checksums import crc_of
from mmpretrain_lmmreg.datasets.pictures import read_rgb

IMAGES, DIM, CHUNK = 9_537, 1024, 1024


def seconds(function, repeats: int = 5) -> float:
    """The shortest of some runs, in seconds of this process's CPU time."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        function()
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    """Print each figure with and without checksums."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ['LMMREG_CACHE'] = folder
        rows = torch.randn(IMAGES, DIM)
        keys = [f'/data/ucf101/frames/{i}.jpg' for i in range(IMAGES)]
        for start in range(0, IMAGES, CHUNK):
            part = slice(start, start + CHUNK)
            tables.VectorTable('speed', {}).add(keys[part], rows[part])

        def read() -> None:
            tables.VectorTable('speed', {}).read(keys)

        with_sums = seconds(read)
        tables.VectorTable._check = lambda *_: None
        without = seconds(read)
        size = rows.nbytes / 1e9
        print(f'table of {size:.3f} GB read in {with_sums:.3f} s, without checks {without:.3f} s')
        files = list(tables.VectorTable('speed', {}).folder.glob('*.safetensors'))
        checked = seconds(lambda: [crc_of(file) for file in files])
        print(f'checked at {size / checked:.1f} GB/s, reading from disk included')
    jpeg = hostile.encoded(hostile.noise(size=(320, 240)), 'JPEG', quality=95)
    hashed = seconds(lambda: hashlib.sha256(jpeg).hexdigest(), 50)
    decoded = seconds(lambda: read_rgb(io.BytesIO(jpeg)), 50)
    times = f'hash {hashed * 1e3:.3f} ms, decode {decoded * 1e3:.2f} ms'
    print(f'image of {len(jpeg) / 1e3:.0f} kB: {times}')


if __name__ == '__main__':
    main()
