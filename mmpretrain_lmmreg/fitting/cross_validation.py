"""Cross-validation of candidates on the training images, and what is made of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from ..config import load_config, method_file
from ..deploy.head_form import sum_forms
from ..deploy.standalone import fold_head, head_logits, log_odds
from ..errors import InputError
from ..io.files import digest, digest_tensors, save_atomic
from .average import member_of
from .candidates import Candidate
from .choice import Judged, judge, rank, weigh
from .folds import Folds
from .inputs import WholeInputs
from .training import train_subsets


@dataclass
class Compared:
    """What cross-validation found.

    Args:
        folds: Of the training images.
        labels: Of the scored training images, (n,).
        ranked: First what is chosen, then the candidates, best first.
        members: Candidates that the choice averages, and their weights.
        left_out: Candidates for which there was no time, or which cannot be used, and why.
        tensors: Of the folds' classifiers, for :func:`.standalone.coverage_sets`.
    """

    folds: Folds
    labels: Tensor
    ranked: list[Judged]
    members: list[tuple[Judged, float]]
    left_out: dict[str, str]
    tensors: dict[str, Tensor]

    @property
    def best(self) -> Judged:
        """What is chosen: the average, or the best candidate where it has no other member."""
        return self.ranked[0]


def config_of(candidate: Candidate, on: str | Path) -> Config:
    """A candidate's config, put on the config of the images."""
    own = candidate.method == 'lmmreg'
    cfg = load_config(on) if own else load_config(method_file(candidate.method), on)
    cfg.merge_from_dict(dict(candidate.settings))
    return cfg


def compare(
    inputs: WholeInputs,
    folds: Folds,
    config: Path,
    candidates: Sequence[Candidate],
    minutes: float,
    seed: int,
) -> Compared:
    """Score candidates on held-out folds, in order of cost, until the time is over.

    What is finished is kept in ``scores/`` beside ``config``, for a fit that is stopped. Its names
    depend on the features, so that it does not matter how the folder of the images is spelt.

    Raises:
        InputError: no candidate can be used.
    """
    scored, labels = folds.scored, inputs.labels.cpu()[folds.scored]
    data = _digest_data(inputs, folds)
    judged, left_out = list[Judged](), dict[str, str]()
    found, files = dict[str, dict[str, Tensor]](), dict[str, Path]()
    end = time.monotonic() + 60 * minutes
    for candidate in candidates:
        name, began, cfg = candidate.name, time.monotonic(), config_of(candidate, config)
        file = config.parent / 'scores' / f'{digest([data, seed, member_of(cfg, 1.0)])}.npz'
        kept = _kept(file)
        if not kept:
            if began > end and judged:
                left_out[name] = 'no time left (--minutes)'
                continue
            try:
                kept = score_folds(cfg, inputs, folds.parts(), seed)
            except InputError as error:
                undescribed = error.code == 'text.class_not_described'
                why = 'not all classes have described training images'
                left_out[name] = why if undescribed else str(error)
                continue
            _keep(file, kept)
        found[name], files[name], spent = kept, file, time.monotonic() - began
        judged.append(judge(candidate, kept['scores'][scored], labels, spent))
        print(f'  {name}: {judged[-1].accuracy:.1%}, {spent:.0f} s', flush=True)
    if not judged:
        reasons = '; '.join(f'{name}: {why}' for name, why in left_out.items())
        raise InputError(f'no candidate could be scored: {reasons}', code='fit.no_candidate')
    ranked, members = rank(judged), weigh(judged, labels)
    if len(members) > 1:
        ranked.insert(0, _average(members, config, labels))
    best = ranked[0]
    further = best.temperature if len(members) > 1 else 1.0
    factors = [weight / each.temperature / further for each, weight in members]
    chosen = {each.candidate.name: each.candidate for each, _ in members}
    for name in found:
        if name not in chosen:
            _keep(files[name], {'scores': found[name]['scores']})  # classifiers take 10 MB
        elif len(found[name]) == 1:  # an earlier fit did not choose it
            cfg = config_of(chosen[name], config)
            found[name] = score_folds(cfg, inputs, folds.parts(), seed)
            _keep(files[name], found[name])
    kept_folds = [found[name] for name in chosen]
    tensors = fold_tensors(kept_folds, factors, best.log_probabilities, labels, folds)
    return Compared(folds, labels, ranked, members, left_out, tensors)


def _digest_data(inputs: WholeInputs, folds: Folds) -> str:
    """Name of what all candidates learn from, wherever the images lie."""
    tensors = dict(trunk=inputs.trunk, labels=inputs.labels, groups=inputs.groups, fold=folds.fold)
    backbone = inputs.model.backbone
    try:
        descriptions: Any = inputs.descriptions
    except InputError as error:  # some classes alone are described, so that none can be used
        descriptions = str(error)
    texts = [inputs.classes, inputs.templates, descriptions]
    return digest([digest_tensors(tensors), backbone.model_name, str(backbone.pretrained), *texts])


def _average(members: list[tuple[Judged, float]], config: Path, labels: Tensor) -> Judged:
    """The average of candidates as a candidate."""
    configs = [
        member_of(config_of(each.candidate, config), weight / each.temperature)
        for each, weight in members
    ]
    candidate = Candidate('average', 'average', {'model.head.members': configs}, -1)
    logs = torch.stack([weight * each.log_probabilities for each, weight in members]).sum(0)
    return judge(candidate, logs, labels, sum(each.seconds for each, _ in members))


def _kept(file: Path) -> dict[str, Tensor]:
    """What an earlier, stopped fit has left, if anything."""
    try:
        with np.load(file, allow_pickle=False) as found:
            return {name: torch.from_numpy(found[name]) for name in found}
    except (OSError, ValueError, EOFError, BadZipFile):
        return {}


def _keep(file: Path, tensors: dict[str, Tensor]) -> None:
    with save_atomic(file) as opened:
        arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
        np.savez(opened, **arrays)


def score_folds(
    cfg: Config, inputs: WholeInputs, parts: Sequence[tuple[Tensor, Tensor]], seed: int
) -> dict[str, Tensor]:
    """Train on the first images of each part and score its second ones.

    Returns:
        ``scores`` (N, N_c) of the second images, and ``fold0_...``, the classifiers.
    """
    forms = train_subsets(cfg, inputs, [train for train, _ in parts], seed)
    features = inputs.trunk.cpu()
    kept = {'scores': torch.zeros(len(features), len(forms[0]['bias']))}
    for k, ((_, held), form) in enumerate(zip(parts, forms, strict=True)):
        kept['scores'][held] = head_logits(features[held], form)
        kept |= {f'fold{k}_{name}': tensor for name, tensor in form.items()}
    return kept


def fold_tensors(
    kept: Sequence[dict[str, Tensor]],
    factors: Sequence[float],
    log_probabilities: Tensor,
    labels: Tensor,
    folds: Folds,
) -> dict[str, Tensor]:
    """What :func:`.standalone.coverage_sets` takes.

    Args:
        kept: Of each candidate that is averaged ``fold0_...``, the classifiers of the folds.
        factors: Of its logits.
        log_probabilities: Held-out ones of the scored images by the average, (n, N_c).
        labels: Of these images, (n,).
        folds: Of all images.
    """
    own = log_odds(log_probabilities).gather(1, labels[:, None])[:, 0]
    forms = [sum_forms([fold_head(each, k) for each in kept], factors) for k in range(folds.count)]
    first, *others = forms
    common = {
        name: tensor
        for name, tensor in first.items()
        if all(name in form and torch.equal(tensor, form[name]) for form in others)
    }
    numbered = {
        f'fold{k}_{name}': tensor
        for k, form in enumerate(forms)
        for name, tensor in form.items()
        if name not in common
    }
    return dict(own_log_odds=own.float(), own_fold=folds.fold[folds.scored], **common, **numbered)
