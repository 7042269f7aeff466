"""A person's own pictures: found from what the command line names, and read in batches."""

from collections.abc import Callable, Iterator, Sequence
from glob import glob
from pathlib import Path

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..datasets.pictures import IMAGE_SUFFIXES, is_image, list_images, natural_key
from ..errors import InputError, MissingInputError

BATCH = 16

Picture = tuple[str, Tensor | str]  # path, and what was read or why it could not be


def find_pictures(arguments: Sequence[str]) -> list[str]:
    """Paths of the pictures that files, folders (with theirs) and patterns name, each once.

    Raises:
        MissingInputError: there is nothing by that name.
        InputError: a folder without a picture.
    """
    paths: dict[str, None] = {}
    for argument in arguments:
        path = Path(argument).expanduser()
        if path.is_file():
            found = [str(path)]
        elif path.is_dir():
            found = list(map(str, list_images(path)))
            if not found:
                raise InputError(
                    f'no image ({", ".join(IMAGE_SUFFIXES)}) is in the folder {argument}',
                    code='deploy.no_images',
                )
        else:
            found = [p for p in glob(str(path), recursive=True) if is_image(Path(p).name)]
            if not found:
                raise MissingInputError(
                    f'{argument}: no image, folder or pattern of that name',
                    code='deploy.no_images',
                )
        paths.update(dict.fromkeys(sorted(found, key=natural_key)))
    return list(paths)


def read_batches(
    paths: Sequence[str], read: Callable[[str], Tensor], workers: int = 0
) -> Iterator[list[Picture]]:
    """Read pictures in batches of :data:`BATCH`, in order; a broken one gives its reason."""
    workers = min(workers, len(paths) // BATCH)
    yield from DataLoader(_Pictures(paths, read), BATCH, num_workers=workers, collate_fn=list)


class _Pictures(Dataset):
    def __init__(self, paths: Sequence[str], read: Callable[[str], Tensor]) -> None:
        self.paths, self.read = paths, read

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Picture:
        path = self.paths[index]
        try:
            return path, self.read(path)
        except ValueError as error:
            return path, str(error)
        except Exception as error:  # whatever a decoder raises
            return path, f'{type(error).__name__}: {error}'
