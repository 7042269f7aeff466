"""Cross-validation of candidates on the training images, and what is made of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from ..config import load_config, method_file
from ..deploy.head_form import sum_forms
from ..deploy.standalone import head_logits
from ..errors import InputError
from ..io.files import digest, save_atomic
from .average import member_of
from .candidates import Candidate
from .choice import Judged, judge, log_likelihoods, rank, weigh
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

    What is finished is kept in ``scores/`` beside ``config``, for a fit that is stopped.

    Raises:
        InputError: no candidate can be used.
    """
    scored, labels = folds.scored, inputs.labels.cpu()[folds.scored]
    listed = (config.parent / 'images.csv').read_text()
    judged, left_out, found = list[Judged](), dict[str, str](), dict[str, dict[str, Tensor]]()
    end = time.monotonic() + 60 * minutes
    for candidate in candidates:
        name, began = candidate.name, time.monotonic()
        about = digest([config.read_text(), listed, seed, name])
        file = config.parent / 'scores' / f'{about}.npz'
        kept = _kept(file)
        if not kept:
            if began > end and judged:
                left_out[name] = 'no time left (--minutes)'
                continue
            try:
                kept = score_folds(config_of(candidate, config), inputs, folds.parts(), seed)
            except InputError as error:
                undescribed = error.code == 'text.class_not_described'
                left_out[name] = 'training images are not described' if undescribed else str(error)
                continue
            with save_atomic(file) as opened:
                arrays: dict[str, Any] = {key: tensor.numpy() for key, tensor in kept.items()}
                np.savez(opened, **arrays)
        found[name], spent = kept, time.monotonic() - began
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
    own = log_likelihoods(best.log_probabilities, labels).exp()
    tensors = fold_tensors([found[each.candidate.name] for each, _ in members], factors, own, folds)
    return Compared(folds, labels, ranked, members, left_out, tensors)


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
    except (OSError, ValueError, KeyError, EOFError):
        return {}


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
    kept: Sequence[dict[str, Tensor]], factors: Sequence[float], own: Tensor, folds: Folds
) -> dict[str, Tensor]:
    """What :func:`.standalone.coverage_sets` takes.

    Args:
        kept: Of each candidate that is averaged ``fold0_...``, the classifiers of the folds.
        factors: Of its logits.
        own: Held-out probability of each scored image's own class, (n,).
        folds: Of all images.
    """
    found = dict(own_probability=own.float(), own_fold=folds.fold[folds.scored])
    for k in range(folds.count):
        prefix = f'fold{k}_'
        forms = [
            {n.removeprefix(prefix): t for n, t in each.items() if n.startswith(prefix)}
            for each in kept
        ]
        found |= {f'{prefix}{name}': t for name, t in sum_forms(forms, factors).items()}
    return found
