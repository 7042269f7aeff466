"""What a run leaves behind for comparisons: ``results/<split>.npz`` and ``results/run.json``."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, MissingInputError
from ..io.files import check_fields, digest, read_sealed, save_atomic, sealed

NOTHING = type(None)
NUMBER = (int, float)
RUN = {  # the fields of run.json that are read, and their forms
    'method': str,
    'seed': (int, NOTHING),
    'epochs': [{'epoch': int, 'accuracy': NUMBER, 'seconds': NUMBER}],
    'finished': bool,
    'splits?': {str: {'images': int, 'accuracy': NUMBER}},
    'protocol?': str,
    'settings?': dict,
    'texts?': (str, NOTHING),
    'code?': str,
    'versions?': dict,
    'descriptions?': (str, NOTHING),
    'described?': (dict, NOTHING),
    'classes?': (list, NOTHING),
    'data_root?': (str, NOTHING),
    'fingerprints?': dict,
    'curve_split?': (str, NOTHING),
    'trained_parameters?': (int, NOTHING),
    'train_seconds?': (*NUMBER, NOTHING),
    'train_accuracy?': (*NUMBER, NOTHING),
    'experiment?': (str, NOTHING),
}
KINDS = dict(rel_path='U', label='iu', group='U', probs='f', split='U')  # NumPy's, by array


@dataclass(frozen=True)
class Predictions:
    """Class probabilities of a split's N images, in the data set's order.

    Args:
        rel_path: (N,) str, POSIX paths below the data root; they name the images.
        label: (N,) int64.
        group: (N,) str; images of a group (a source video, say) are not independent.
        probs: (N, N_c) float32, rows sum to 1.
        split: Name of the split.
    """

    rel_path: np.ndarray
    label: np.ndarray
    group: np.ndarray
    probs: np.ndarray
    split: str

    @property
    def correct(self) -> np.ndarray:
        """(N,) bool: whether the most probable class is the label."""
        return self.probs.argmax(axis=1) == self.label


def save_predictions(work_dir: str | Path, predictions: Predictions) -> Path:
    """Write ``<work_dir>/results/<split>.npz``, whole or not at all."""
    path = Path(work_dir) / 'results' / f'{predictions.split}.npz'
    p = predictions  # plain dtypes only: an object array would be pickled
    with save_atomic(path) as file:
        np.savez_compressed(
            file,
            rel_path=np.asarray(p.rel_path, dtype=str),
            label=np.asarray(p.label, np.int64),
            group=np.asarray(p.group, dtype=str),
            probs=np.asarray(p.probs, np.float32),
            split=np.array(p.split),
        )
    return path


def load_predictions(work_dir: str | Path, split: str = 'test') -> Predictions:
    """Read ``<work_dir>/results/<split>.npz``.

    Raises:
        MissingInputError: there is no such file.
        InputError: it is damaged, or its arrays do not belong together.
    """
    path = Path(work_dir) / 'results' / f'{split}.npz'
    if not path.is_file():
        raise MissingInputError(
            f"{path} is missing: train with default_hooks.results=dict(type='ResultsHook'), or run "
            f'test.py with --work-dir {work_dir}',
            code='hooks.no_predictions',
        )
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():  # NumPy does not read to the end, where the checksum is compared
                raise ValueError('checksum')
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in KINDS}
        predictions = Predictions(**{**arrays, 'split': str(arrays['split'])})
        for name, kinds in KINDS.items():
            if arrays[name].dtype.kind not in kinds:
                raise ValueError(f'{name} is of type {arrays[name].dtype}')
        check_arrays(predictions)
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds
        raise InputError(
            f'{path} is damaged: {error}; train or test this run again',
            code='hooks.bad_predictions',
        ) from error
    return predictions


def check_arrays(p: Predictions) -> None:
    """Raise ValueError where shapes, labels, probabilities and names do not fit together."""
    count = len(p.rel_path) if p.rel_path.ndim == 1 else 0
    if not count or p.probs.ndim != 2 or not p.probs.shape[1]:
        raise ValueError('there are no images, or no classes')
    if any(array.shape != (count,) for array in (p.label, p.group, p.probs[:, 0])):
        raise ValueError('the arrays have different numbers of images')
    if p.label.min() < 0 or p.label.max() >= p.probs.shape[1]:
        raise ValueError(f'a label lies outside 0..{p.probs.shape[1] - 1}')
    with np.errstate(invalid='ignore', over='ignore'):
        fine = (p.probs >= 0).all(axis=1) & (np.abs(p.probs.sum(axis=1) - 1) < 1e-3)
    if not fine.all():
        name = str(p.rel_path[~fine][0])
        raise ValueError(f'the probabilities of {name!r} are not finite or do not sum to 1')
    unique, counts = np.unique(p.rel_path, return_counts=True)
    if counts.max() > 1:
        raise ValueError(f'{str(unique[counts.argmax()])!r} occurs {counts.max()} times')


def fingerprint(predictions: Predictions) -> str:
    """Of the images' names and labels, in their order."""
    names, labels = predictions.rel_path.tolist(), predictions.label.tolist()
    return digest(list(zip(names, labels, strict=True)))


def belongs(predictions: Predictions, run: dict, origin: dict) -> bool:
    """Whether predictions of a tested checkpoint are results of a folder's own run.

    They are if the checkpoint is of that run and of its last epoch, and the images are those that
    the folder has results of, if it has any of this split.

    Args:
        run: The folder's ``run.json``.
        origin: ``epoch`` and ``experiment``, mmengine's name of the run, of the checkpoint.
    """
    known = run['splits'].get(predictions.split)
    last = run['epochs'][-1]['epoch'] if run['epochs'] else (known or origin).get('epoch')
    images = run['fingerprints'].get(f'{predictions.split}_fingerprint')
    return (
        origin.get('experiment') == run.get('experiment')
        and origin.get('epoch') == last
        and (known is None or images == fingerprint(predictions))
    )


def save_run(work_dir: str | Path, run: dict) -> Path:
    """Write ``<work_dir>/results/run.json``, whole or not at all."""
    path = Path(work_dir) / 'results' / 'run.json'
    with save_atomic(path) as file:
        file.write(sealed(run))
    return path


def load_run(work_dir: str | Path) -> dict:
    """Read ``<work_dir>/results/run.json``; its keys are those of :func:`record.describe_run`.

    Raises:
        MissingInputError: There is no such file.
        InputError: It is damaged, or a field is missing or of another type; names the field.
    """
    path = Path(work_dir) / 'results' / 'run.json'
    if not path.is_file():
        raise MissingInputError(
            f'{path} is missing: {work_dir} is not the work folder of a run trained with '
            'ResultsHook',
            code='hooks.no_record',
        )
    try:
        run = read_sealed(path, RUN)
        check_fields({'classes': run.get('classes') or []}, {'classes': [str]}, path)
    except InputError as error:
        raise InputError(f'{error}; train this run again', code='hooks.bad_record') from error
    return run
