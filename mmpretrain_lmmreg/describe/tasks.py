"""The images that are described: a config's, listed without decoding one; and reading one."""

import hashlib
import io
import os
import zlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from PIL import Image, UnidentifiedImageError

from ..config import is_type, parts_of
from ..datasets.names import prompt_names
from ..datasets.pictures import check_regular, read_rgb
from ..descriptions.attach import AttachDescriptions
from ..descriptions.samples import Sample, rel_path_of
from ..errors import InputError

SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True, slots=True)
class Task:
    """An image to be described: its key, its file, its class and group where they are known."""

    image: str
    path: str
    label: int | None = None
    group: str | None = None  # of images that are not independent, such as a video's


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is read of an image; ``error`` says why ``content`` is missing."""

    sha256: str | None = None
    content: object = None
    error: str = ''


def load_image(
    path: str, prepare: Callable[[Image.Image], object], wanted: Callable[[str | None], object]
) -> Loaded:
    """Read and hash an image; if it is wanted, also decode (upright, RGB) and prepare it."""
    try:
        check_regular(path)
        data = Path(path).read_bytes()
    except (ValueError, OSError) as error:
        return Loaded(error=f'cannot read the image: {getattr(error, "strerror", 0) or error}')
    sha256 = hashlib.sha256(data).hexdigest()
    if not wanted(sha256):
        return Loaded(sha256)
    try:
        return Loaded(sha256, prepare(read_rgb(io.BytesIO(data))))
    except UnidentifiedImageError:  # its own message is an address in memory
        return Loaded(sha256, error='cannot decode the image: its format is unknown to pillow')
    except Exception as error:  # decoders raise whatever a broken file provokes
        return Loaded(sha256, error=f'cannot decode the image: {error}')


class ConfigImages(Sequence):
    """All images of a config's split as tasks, each once; two numbers are held for each.

    Args:
        config: A training config.
        split: One of :data:`SPLITS`, or ``'all'``.
        shard: (i, n): only the images whose name falls into the i-th of n parts, which are the
            same on all machines.

    Raises:
        InputError: The config has no such split, or two images have one name.
    """

    def __init__(self, config: Config, split: str, shard: tuple[int, int] = (0, 1)) -> None:
        given = [config.get(f'{name}_dataloader') for name in SPLITS if split in (name, 'all')]
        loaders = [loader for loader in given if loader]
        if not loaders:
            raise InputError(
                f'--split {split}: {config.filename} has no {split}_dataloader',
                code='describe.no_split',
            )
        self._attach = find_attach(config)
        self._roots = [
            next((part['data_root'] for _, part in parts_of(loader) if part.get('data_root')), None)
            for loader in loaders
        ]
        self._datasets = [_build(loader['dataset']) for loader in loaders]
        self.classes = prompt_names(self._datasets[0].metainfo)
        self._where = array('Q')  # data set in the highest byte, index in it in the others
        paths: dict[str, int] = {}
        places = (n << 56 | i for n, data in enumerate(self._datasets) for i in range(len(data)))
        for place in places:
            task = self._task(place)
            if _hash(task.image) % shard[1] != shard[0]:
                continue
            path = _hash(os.path.abspath(task.path))
            if paths.setdefault(task.image, path) != path:
                raise InputError(
                    f'two images are called {task.image}, one of them {task.path}: describe '
                    'the splits one at a time, each with an --out of its own',
                    code='describe.same_name',
                )
            if len(paths) > len(self._where):
                self._where.append(place)

    def _sample(self, place: int) -> Sample:
        number, index = place >> 56, place & ((1 << 56) - 1)
        sample = self._datasets[number].get_data_info(index)
        root = self._attach.data_root or sample.get('data_root') or self._roots[number]
        return {**sample, 'data_root': str(root) if root else None}

    def _task(self, place: int) -> Task:
        sample = self._sample(place)
        label, group = sample.get('gt_label'), sample.get('group')
        return Task(
            rel_path_of(sample),
            str(sample['img_path']),
            int(label) if isinstance(label, int) else None,
            str(group) if group else None,
        )

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: int) -> Task:  # type: ignore[override]
        return self._task(self._where[index])

    def descriptions_file(self) -> Path:
        """The file that the config's ``AttachDescriptions`` reads.

        Raises:
            InputError: The data sets have different ones, or none can be told.
        """
        firsts = [number << 56 for number, dataset in enumerate(self._datasets) if len(dataset)]
        files = {self._attach.path_for(self._sample(first)) for first in firsts}
        if len(files) != 1:
            raise InputError(
                f'the data sets have {len(files)} descriptions files '
                f'({", ".join(sorted(map(str, files)))}): name one with --out',
                code='describe.no_file',
            )
        return files.pop()


def find_attach(config: Config) -> AttachDescriptions:
    """The config's ``AttachDescriptions``, or the default one where it has none."""
    for _, part in parts_of(config.to_dict()):
        if is_type(part, AttachDescriptions):
            return AttachDescriptions(**{k: v for k, v in part.items() if k != 'type'})
    return AttachDescriptions()


def _build(dataset: dict):
    """A data set whose samples are told without a pipeline."""
    dataset = Config({'dataset': dataset}).to_dict()['dataset']
    for _, part in parts_of(dataset):
        if 'pipeline' in part:
            part['pipeline'] = []
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return DATASETS.build(dataset)


def check_replaced(path: Path, start: bytes) -> None:
    """Refuse to replace what is there, if it does not start as what is to be written.

    Raises:
        InputError: It is another file, a folder, a pipe or a device.
    """
    try:
        check_regular(path)
        with open(path, 'rb') as file:
            foreign = file.read(len(start)) not in (start, b'')
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        foreign = True
    if foreign:
        raise InputError(
            f'{path} holds something else and is left as it is: name another file',
            code='describe.foreign_file',
        )


def _hash(text: str) -> int:
    return zlib.crc32(os.fsencode(text))
