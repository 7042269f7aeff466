"""What a command left in a folder, less what differs from run to run: times, names of processes."""

import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from mmpretrain_lmmreg.io.files import digest_tensors, read_sealed
from mmpretrain_lmmreg.io.trusted import read_checkpoint

LOGS = re.compile(r'\d{8}_\d{6}')  # mmengine's folder of a start
CHANGING = ('experiment', 'train_seconds', 'seconds')


def content(folder: Path) -> dict[str, object]:
    """Each file's content by its path below the folder; hidden and temporary files, too.

    Checkpoints are checked against their digests, results against their checksums. Chunks of a
    table are told by their rows together, whoever wrote them.
    """
    found: dict[str, object] = {}
    rows: dict[str, set[bytes]] = {}
    for path in sorted(folder.rglob('*')):
        name = path.relative_to(folder)
        if path.is_dir() or LOGS.fullmatch(name.parts[min(1, len(name.parts) - 1)]):
            continue
        if path.suffix == '.safetensors' and 'cache' in name.parts and path.name[0] != '.':
            rows.setdefault(str(name.parent), set()).update(map(bytes, _rows(path)))
        elif not any(LOGS.fullmatch(part) for part in name.parts):
            found[str(name)] = READERS.get(path.suffix, _checksum)(path)
    return found | {f'{name}/*.safetensors': each for name, each in rows.items()}


def _rows(path: Path) -> list[np.ndarray]:
    return list(load_file(path)['rows'].view(torch.uint8).numpy())


def _checksum(path: Path) -> object:
    return zlib.crc32(path.read_bytes())


def _checkpoint(path: Path) -> object:
    checkpoint = read_checkpoint(str(path))
    moments = checkpoint['optimizer']['state']
    optimizer = {f'{n} {k}': v for n, each in moments.items() for k, v in each.items()}
    meta = checkpoint['meta']
    return (
        digest_tensors(checkpoint['state_dict']),
        digest_tensors(optimizer),
        (meta['epoch'], meta['iter'], meta['seed']),
    )


def _arrays(path: Path) -> object:
    with np.load(path) as file:
        return {key: (file[key].dtype.str, file[key].tobytes()) for key in file}


def _json(path: Path) -> object:
    return _steady(read_sealed(path)) if path.name == 'run.json' else _checksum(path)


def _steady(value: object) -> object:
    if isinstance(value, dict):
        return {key: _steady(each) for key, each in value.items() if key not in CHANGING}
    return [_steady(each) for each in value] if isinstance(value, list) else value


def _records(path: Path) -> object:
    return sorted(path.read_bytes().splitlines())


def _hashes(path: Path) -> object:
    """Of image files, kept by their state, which copies do not share."""
    return set(np.fromfile(path, np.uint64).reshape(-1, 2)[:, 1].tolist())


READERS: dict[str, Callable[[Path], object]] = {
    '.pth': _checkpoint,
    '.npz': _arrays,
    '.hashes': _hashes,
    '.json': _json,
    '.jsonl': _records,
    '.txt': lambda path: None if path.name == 'output.txt' else _checksum(path),
}
