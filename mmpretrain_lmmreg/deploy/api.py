"""A classifier in a notebook or a program: ``load(folder).predict(images)``."""

import shutil
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..datasets.pictures import Images, list_images
from ..errors import InputError, MissingInputError
from ..progress import track
from . import standalone

if TYPE_CHECKING:
    import pandas

    from ..describe.plan import DescribePlan
    from .explain import Explainer
    from .on_demand import Asked, Request

EXPORTED = 'exported'  # in a fit's folder


class Classifier:
    """An exported classifier; made by :func:`load` and by ``fit``.

    Attributes:
        folder: The exported folder.
        classes: N_c names.
        leaderboard: A table of the candidates, best first; None where no fit made the folder.

    Example:
        >>> from mmpretrain_lmmreg import load
        >>> classifier = load('fitted')
        >>> classifier.predict('a.jpg', topk=1)[0]['predictions'][0]['class']
        'climbing'
    """

    def __init__(
        self,
        folder: Path,
        leaderboard: Path | None = None,
        trained: tuple[Path, Path] | None = None,
    ) -> None:
        self.folder, self._trained = folder, trained
        try:
            self._model = standalone.Classifier(folder)
        except (OSError, ValueError) as error:
            raise InputError(f'{error}; export the folder again', code='deploy.damaged') from error
        self.classes: tuple[str, ...] = tuple(self._model.classes)
        self._leaderboard = leaderboard

    @property
    def leaderboard(self) -> 'pandas.DataFrame | None':
        """The candidates of the fit, best first."""
        if self._leaderboard is None:
            return None
        import pandas

        return pandas.read_csv(self._leaderboard)

    def predict(
        self,
        images: Images,
        topk: int = 5,
        coverage: float | None = None,
        calibrated: bool = False,
        broken: dict[str, str] | None = None,
        describer: 'DescribePlan | None' = None,
        budget: float = 0.2,
        store: str | Path = 'asked.jsonl',
    ) -> list[dict[str, Any]]:
        """Classify images.

        Args:
            images: A path, a folder, a PIL image, a uint8 array (H, W, 3), or a list of these.
            topk: Classes in each result.
            coverage: Also give ``set``, the smallest set of classes that holds the right one for
                this share of images like the training images; empty means none of these.
            calibrated: Divide logits by the temperature that the fit found.
            broken: Receives images that cannot be read, and why, instead of an error.
            describer: Who is asked about the images that the classifier is unsure of, and the
                limits. All probabilities are then calibrated.
            budget: Share of the images that are described, rounded down.
            store: The file of the descriptions; no image in it is asked about again.

        Returns:
            For each image a dict with ``image`` and ``predictions``: dicts with ``class`` and
            ``probability``, the likeliest first. Images that are classified with their description
            also have ``description``.

        Raises:
            InputError: an image that cannot be read; ``coverage`` outside of 0 to 1, or without
                held-out scores; a ``describer`` for a classifier that reads no descriptions; what
                :func:`~mmpretrain_lmmreg.describe.pixels.describe_images` raises.

        Example:
            >>> from mmpretrain_lmmreg import DescribePlan, load
            >>> plan = DescribePlan('openai', 'qwen2.5-vl', max_cost=1, price=(0.15, 0.6))
            >>> load('fitted').predict('holiday', describer=plan)  # doctest: +SKIP
        """
        if describer is not None:
            from .on_demand import Request

            return self.describe_unsure(
                images, Request(describer, store, budget), topk, coverage, broken
            )[0]
        if coverage is not None and not (0 < coverage < 1 and self._model.folds is not None):
            raise InputError(
                f'coverage={coverage} must lie between 0 and 1, of a classifier that fit has made',
                code='deploy.no_coverage',
            )

        def progress(starts: range) -> Iterable[int]:
            return track(starts, 'batches of images', len(starts)) if len(starts) > 1 else starts

        options = topk, coverage, calibrated, broken
        try:
            return standalone.predict(self._model, images, *options, progress=progress)
        except ValueError as error:
            raise InputError(str(error), code='deploy.unreadable') from error

    def describe_unsure(
        self,
        images: Images,
        request: 'Request',
        topk: int = 5,
        coverage: float | None = None,
        broken: dict[str, str] | None = None,
    ) -> tuple[list[dict[str, Any]], 'Asked']:
        """As :meth:`predict` with a describer; also what asking took and is worth."""
        from ..clip.text_tower import TextTower
        from ..heads.describe_on_demand import embed_unit
        from ..heads.on_demand import DescriptionReader
        from .on_demand import describe_unsure, reads_none

        model = self._model
        if not model.described:
            raise reads_none(str(self.folder))
        found = list_images(images)
        results = self.predict(found, len(self.classes), coverage, True, broken)
        sources = {
            str(each) if isinstance(each, Path) else f'image {i}': each
            for i, each in enumerate(found)
        }
        count, prompts = model.described['count'], tuple(model.described['prompts'])
        parts = model.text_weight, model.text_bias, model.curve
        reader = DescriptionReader(model.described['exponent'], *parts, count, prompts)
        tower = TextTower(f'local-dir:{self.folder}')
        asked = describe_unsure(
            results, sources, self.classes, reader, lambda lists: embed_unit(lists, tower), request
        )
        for result in results:
            result['predictions'] = result['predictions'][:topk]
        return results, asked

    def too_few(self, coverage: float) -> bool:
        """Whether each set is all classes, since the fit had too few images for this coverage."""
        return standalone.too_few(self._model.folds or {'own_fold': ()}, coverage)

    def embed(self, images: Images) -> np.ndarray:
        """Embeddings (N, D) of images in the joint space of images and texts, float32."""
        found, parts, read = list_images(images), [], self._model.read
        for start in range(0, len(found), standalone.BATCH):
            part = found[start : start + standalone.BATCH]
            try:
                good = standalone.read_images(part, read, None, start)
            except ValueError as error:
                raise InputError(str(error), code='deploy.unreadable') from error
            parts.append(self._model.embed(torch.stack([pixels for _, _, pixels in good])))
        if not parts:
            raise InputError(f'there is no image in {images}', code='deploy.no_images')
        return torch.cat(parts).numpy()

    def explain(self, image: Images, count: int = 3) -> list[dict[str, Any]]:
        """The descriptions of training images that lie closest to an image.

        Args:
            image: One image, see :meth:`predict`.
            count: Of descriptions.

        Returns:
            Dicts with ``text``, ``classes`` and ``similarity``, the closest first; a method that
            classifies by descriptors gives those of the likeliest class.

        Raises:
            InputError: nothing is described; an exported folder alone, which holds no descriptions:
                load the folder of the fit, or the work folder.

        Example:
            >>> sorted(load('fitted').explain('a.jpg')[0])
            ['classes', 'similarity', 'text']
        """
        return self._explainer.closest(torch.from_numpy(self.embed(image)[0]), count)

    @cached_property
    def _explainer(self) -> 'Explainer':
        if self._trained is None:
            raise InputError(
                f'{self.folder} has no descriptions of training images, which explain needs: load '
                'the folder of the fit, or the work folder of the run',
                code='deploy.nothing_to_explain',
            )
        from .classifier import load_classifier
        from .explain import Explainer

        return Explainer(load_classifier(*map(str, self._trained)))

    def save(self, folder: str | Path) -> None:
        """Copy the exported folder, which works by itself.

        Raises:
            InputError: there is something at ``folder``.
        """
        from .folder import new_folder

        with new_folder(Path(folder)) as made:
            compiled = shutil.ignore_patterns('__pycache__')  # where predict.py has run
            shutil.copytree(self.folder, made, dirs_exist_ok=True, ignore=compiled)
            if self._leaderboard is not None:
                shutil.copyfile(self._leaderboard, made / self._leaderboard.name)


def load(folder: str | Path) -> Classifier:
    """Load a classifier.

    Args:
        folder: An exported folder, a fit's, or the work folder of a run, which is exported beside
            its checkpoint.

    Raises:
        MissingInputError: it is none of them.
        InputError: it is damaged; a run has trained on since its work folder was exported.

    Example:
        >>> from mmpretrain_lmmreg import load
        >>> load('fitted').classes
        ('climbing', 'diving', 'fishing', 'pole vaulting', 'racing', 'throwing')
    """
    folder = Path(folder).expanduser()
    exported, table = folder / EXPORTED, folder / 'leaderboard.csv'
    trained = _trained_in(folder)
    for place in (folder, exported):
        if (place / 'classifier.json').is_file():
            if trained and trained[1].parent == folder:  # a fit's run lies below, its export stays
                _check_newer(place, trained[1])
            return Classifier(place, table if table.is_file() else None, trained)
    if trained is None:
        raise MissingInputError(
            f'{folder} is neither an exported folder (classifier.json) nor a folder of fit '
            '(exported/) nor a work folder (one config and last_checkpoint)',
            code='deploy.no_classifier',
        )
    from .classifier import load_classifier
    from .export import export
    from .folder import new_folder

    with new_folder(exported) as made:
        export(load_classifier(*map(str, trained)), made)
    return Classifier(exported, trained=trained)


def _check_newer(exported: Path, checkpoint: Path) -> None:
    exports = (exported / 'classifier.json').stat().st_mtime
    if checkpoint.is_file() and checkpoint.stat().st_mtime > exports:
        raise InputError(
            f'{exported} is older than the checkpoint {checkpoint.name}: remove it, and it is made '
            f'anew, or load {exported} itself',
            code='deploy.outdated',
        )


def _trained_in(folder: Path) -> tuple[Path, Path] | None:
    """Config and last checkpoint of a work folder, or of the run in a fit's."""
    run = folder / 'run' if (folder / 'run' / 'last_checkpoint').is_file() else folder
    configs, last = sorted(run.glob('*.py')), run / 'last_checkpoint'
    if len(configs) != 1 or not last.is_file():
        return None
    return configs[0], run / Path(last.read_text().strip()).name
