"""From a folder of images to the best classifier."""

import csv
import io
import logging
import math
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS
from torch import Tensor
from torch.utils.data import DataLoader

from ..clip.configs import has_weights
from ..config import load_config, method_file
from ..deploy.classifier import load_classifier
from ..deploy.export import export
from ..deploy.folder import new_folder
from ..errors import InputError, require_range
from ..hooks.run_folder import Predictions, load_predictions
from ..io.files import digest, make_folder, save_atomic
from ..io.lock import locked
from ..runner import LMMRegRunner
from . import report
from .candidates import CANDIDATES, Candidate
from .choice import Judged, judge, own_probabilities, rank
from .data import Images, find_images, write_data
from .folds import Folds, make_folds
from .inputs import WholeInputs
from .training import held_out_scores

if TYPE_CHECKING:
    from ..deploy.api import Classifier

MODEL, PRETRAINED = 'ViT-L-14-quickgelu', 'openai'  # the paper's
SMALL = 'lite0-minilm'


@dataclass
class Outcome:
    """What a fit found, for its page and its last lines.

    Args:
        images: The data.
        folds: Of the training images.
        ranked: Candidates, best first.
        unfinished: Names of candidates for which there was no time, or which cannot be used.
        labels: Of the scored training images, (n,).
        test: Probabilities of the test images, or None.
        train_accuracy: Of the final classifier on its training images.
    """

    images: Images
    folds: Folds
    ranked: list[Judged]
    unfinished: dict[str, str]
    labels: Tensor
    test: Predictions | None = None
    train_accuracy: float = math.nan
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Judged:
        """The chosen candidate."""
        return self.ranked[0]


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
    with locked(out / '.lock', 'or name another --out'):
        found = find_images(images, test, list_file, names, group_by, seed)
        _show_card(found)
        config = write_data(found, out, model, pretrained)
        seconds: dict[str, float] = {}
        inputs = _timed(seconds, 'features', _make_inputs, config)
        outcome = _timed(
            seconds,
            'cross-validation',
            _compare,
            found,
            inputs,
            config,
            candidates,
            minutes,
            seed,
            out,
        )
        outcome.seconds = seconds
        report.show_leaderboard(outcome)
        _timed(seconds, 'refit', _refit, outcome, inputs, config, out, seed)
        _timed(seconds, 'export', _export, outcome, out)
        report.write(outcome, out)
        report.show_end(outcome, out)
    return load(out)


def _timed(seconds: dict[str, float], name: str, function: Any, *args: Any) -> Any:
    began = time.monotonic()
    result = function(*args)
    seconds[name] = time.monotonic() - began
    return result


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


def _show_card(images: Images) -> None:
    for name, value in images.card():
        print(f'{name:>16}  {value}', flush=True)


def config_of(candidate: Candidate, on: str | Path) -> Config:
    """A candidate's config, put on the config of the images."""
    own = candidate.method == 'lmmreg'
    cfg = load_config(on) if own else load_config(method_file(candidate.method), on)
    cfg.merge_from_dict(dict(candidate.settings))
    return cfg


def _make_inputs(config: Path) -> WholeInputs:
    """All training images' features, computed once, and what heads ask for."""
    cfg = load_config(config)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        logger = MMLogger.get_current_instance()
        before = logger.level
        logger.setLevel(logging.WARNING)  # of each weight, how it was made
        model = MODELS.build(cfg.model)
        try:
            model.init_weights()
        except InputError as error:
            if error.code != 'clip.no_download':
                raise
            raise InputError(
                f'{error} With fit that is --pretrained FILE, or --model {SMALL}',
                code='clip.no_download',
            ) from error
        finally:
            logger.setLevel(before)
    loader = DataLoader(dataset, cfg.train_dataloader.batch_size, num_workers=2)
    loop: Any = SimpleNamespace(dataloader=loader)
    inputs = WholeInputs(model.eval(), [loop], cfg.templates, source='auto')
    _ = inputs.trunk
    return inputs


def _compare(
    images: Images,
    inputs: WholeInputs,
    config: Path,
    candidates: Sequence[Candidate],
    minutes: float,
    seed: int,
    out: Path,
) -> Outcome:
    """Score candidates on held-out folds, in order of cost, until the time is over."""
    labels = inputs.labels
    units = [sample.get('group') or sample['rel_path'] for sample in images.train]
    folds = make_folds(labels.tolist(), units, len(images.classes), seed)
    if folds.count < 2:
        raise InputError(
            f'{images.root}: no class has two images (or groups), so nothing can be held out; '
            'give more images',
            code='fit.too_few_images',
        )
    report.show_folds(folds, images.classes)
    about = digest([config.read_text(), (out / 'images.csv').read_text(), seed])
    scored, judged = folds.scored, list[Judged]()
    unfinished: dict[str, str] = {}
    end = time.monotonic() + 60 * minutes
    for candidate in candidates:
        file = out / 'scores' / f'{digest([about, candidate.name])}.npz'
        began = time.monotonic()
        scores = _kept(file)
        if scores is None:
            if began > end and judged:
                unfinished[candidate.name] = 'no time left (--minutes)'
                continue
            try:
                cfg = config_of(candidate, config)
                scores = _score(cfg, inputs, folds, seed)
            except InputError as error:
                unfinished[candidate.name] = str(error)
                continue
            with save_atomic(file) as opened:
                np.savez_compressed(opened, scores=scores.numpy())
        judged.append(judge(candidate, scores[scored], labels[scored], time.monotonic() - began))
        report.show_progress(judged[-1])
    if not judged:
        reasons = '; '.join(f'{name}: {why}' for name, why in unfinished.items())
        raise InputError(f'no candidate could be scored: {reasons}', code='fit.no_candidate')
    return Outcome(images, folds, rank(judged), unfinished, labels[scored])


def _kept(file: Path) -> Tensor | None:
    """Scores that an earlier, stopped fit has left."""
    try:
        with np.load(file, allow_pickle=False) as found:
            return torch.from_numpy(found['scores'])
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _score(cfg: Config, inputs: WholeInputs, folds: Folds, seed: int) -> Tensor:
    parts = folds.parts()
    found = held_out_scores(cfg, inputs, inputs.trunk, parts, seed)
    scores = torch.zeros(len(inputs.labels), found[0].shape[1])
    for (_, held), each in zip(parts, found, strict=True):
        scores[held] = each
    return scores


def _refit(outcome: Outcome, inputs: WholeInputs, config: Path, out: Path, seed: int) -> None:
    """Train the chosen candidate on all training images by the usual loop, and test it once."""
    cfg = config_of(outcome.best.candidate, config)
    cfg.randomness = dict(seed=seed)
    cfg.work_dir = str(out / 'run')
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    if not outcome.images.test:
        cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    path = out / 'config.py'
    with save_atomic(path) as file:
        file.write(cfg.pretty_text.encode())
    cfg = load_config(path)
    cfg.resume = True
    runner = _QuietRunner.from_cfg(cfg)
    runner.train()
    if outcome.images.test:
        runner.test()
        outcome.test = load_predictions(out / 'run')
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
    return (logits.argmax(1).cpu() == inputs.labels).float().mean().item()


def _export(outcome: Outcome, out: Path) -> None:
    folder, run = out / 'exported', out / 'run'
    if (folder / 'classifier.json').is_file():
        shutil.rmtree(folder)  # of an earlier fit into this folder
    checkpoint = (run / 'last_checkpoint').read_text().strip()
    held = (outcome.best.temperature, own_probabilities(outcome.best, outcome.labels))
    with new_folder(folder) as made:
        classifier = load_classifier(str(out / 'config.py'), checkpoint)
        for line in export(classifier, made, folder, held_out=held):
            print(line)


def repeat_command(out: Path) -> str:
    """The command that trains the chosen method again."""
    return f'mmpretrain-lmmreg train {shlex.quote(str(out / "config.py"))}'


def leaderboard_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """The leaderboard, best first."""
    return [
        dict(
            candidate=j.candidate.name,
            method=j.candidate.method,
            accuracy=round(j.accuracy, 4),
            standard_error=round(j.error, 4),
            log_likelihood=round(j.log_likelihood, 4),
            temperature=round(j.temperature, 4),
            seconds=round(j.seconds, 1),
            chosen=j is outcome.best,
        )
        for j in outcome.ranked
    ]


def leaderboard_csv(outcome: Outcome) -> str:
    """The leaderboard as CSV."""
    rows, text = leaderboard_rows(outcome), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
